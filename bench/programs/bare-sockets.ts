/** `bare-sockets.ts <port>`: Socket.IO with the service's options and nothing else, to compare memory with. */

import { createServer } from "node:http";
import { Server } from "socket.io";
import { answerCalls } from "../kit/rpc.ts";

answerCalls({});
const server = createServer((_request, response) => response.end("ok"));
const io = new Server(server, { serveClient: false, maxHttpBufferSize: 64 * 1024, connectTimeout: 10_000, perMessageDeflate: false });
io.on("connection", () => {});
server.listen(Number(process.argv[2]), "127.0.0.1", 1024);
