/** The order of test files. Jest starts those that took longest; on a fresh clone it knows only how large they are. */

import sequencer from "@jest/test-sequencer";

// Its types are those of its CommonJS build, where the class is one level deeper.
const TestSequencer = sequencer as unknown as typeof sequencer.default;
type Tests = Awaited<ReturnType<sequencer.default["sort"]>>;

/** Where nothing is known yet, what starts programs comes before what does not: a long file at the end would leave the other lanes empty. */
// oxlint-disable-next-line import/no-default-export -- Jest takes only a default export
export default class LongFirst extends TestSequencer {
  override async sort(tests: Tests): Promise<Tests> {
    const sorted = await super.sort(tests);
    if (sorted.some(({ duration }) => duration !== undefined)) return sorted;
    const isLong = ({ path }: Tests[number]): boolean => /\/test\/|\/embedded\//.test(path);
    return [...sorted.filter(isLong), ...sorted.filter((test) => !isLong(test))];
  }
}
