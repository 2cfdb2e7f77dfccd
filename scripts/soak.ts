/** `npm run test:soak`: the fault tests at full length. */

process.env["SOAK"] = "1";
process.argv.push("test/chaos/", "test/stories/", "--testTimeout=900000");
await import("./test.ts");
