/** What is mailed and may be used once. */

import { oneTimeTokensSweeps } from "./one-time-tokens.jobs.ts";

export const oneTimeTokens = { name: "one-time-tokens", sweeps: oneTimeTokensSweeps };
