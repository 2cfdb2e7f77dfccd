/** The process' environment: read nowhere else, so that what a process depends on is in `config.ts`. */
export const environment: Readonly<Record<string, string | undefined>> = process.env;
