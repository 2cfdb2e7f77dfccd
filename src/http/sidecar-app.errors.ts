/** What the sidecar listener refuses by itself. */

import { problem } from "#src/kernel/problem";

export const sidecarTokenInvalid = problem("sidecar.token_invalid", 401, "Only the sidecar of this process may call");
export const callerRefused = problem("sidecar.caller_refused", 403, "This app may not call this");
