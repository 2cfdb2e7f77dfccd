/** `npm run test:hostile`: every attack of the hostile list on a running service, and a table of what came of each. */

process.env["HOSTILE_REPORT"] = "1";
process.argv.push("test/hostile/");
await import("./test.ts");
