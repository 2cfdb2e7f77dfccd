/** Loaded before a server whose memory is measured: SIGUSR2 collects its garbage, so that what is counted is what is kept. */

process.on("SIGUSR2", () => {
  const collect = globalThis.gc as ((options: { readonly type: "major"; readonly flavor: "last-resort" }) => void) | undefined;
  collect?.({ type: "major", flavor: "last-resort" });
});
