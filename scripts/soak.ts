/** `npm run test:soak`: the fault tests at full length, and the story of a whole cluster under its whole load. */

process.env["SOAK"] = "1";
process.argv.push("test/chaos/", "test/stories/", "test/cluster/whole-story", "--testTimeout=900000");
await import("./test.ts");
