/** Jest on Node's own ES modules: SWC takes the types off, `#src/…` is resolved as package.json does. */

const typescript = {
  jsc: { parser: { syntax: "typescript" }, target: "esnext" },
  sourceMaps: "inline",
};

export default {
  rootDir: import.meta.dirname,
  roots: ["<rootDir>/src", "<rootDir>/test"],
  testMatch: ["**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  moduleNameMapper: { "^#src/(.*)$": "<rootDir>/src/$1.ts" },
  transform: { "\\.ts$": ["@swc/jest", typescript] },
  cacheDirectory: "<rootDir>/.cache/jest",
  globalSetup: "<rootDir>/test/kit/global-setup.ts",
  globalTeardown: "<rootDir>/test/kit/global-teardown.ts",
  testEnvironment: "<rootDir>/test/kit/environment.ts",
  maxWorkers: 2,
  testTimeout: 90_000,
};
