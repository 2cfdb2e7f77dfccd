/** Which room may import which. The reasons are in docs/architecture.md. */

const EDGE = "\\.(routes|graphql|sockets|consumers|jobs|pages)\\.ts$";
const KITS = "^src/(http|graphql|realtime)/";
const rule = (name, from, to) => ({ name, severity: "error", from, to });

export default {
  forbidden: [
    rule("no-cycles", {}, { circular: true }),
    { ...rule("rooms-acyclic", { path: "^src/(features/)?[^/]+$" }, { circular: true }), scope: "folder" },
    rule("main-is-the-top", { pathNot: "^src/main/" }, { path: "^src/main/" }),
    rule("features-by-public", { path: "^src/features/([^/]+)/"}, { path: "^src/features/", pathNot: ["^src/features/$1/", "/public\\.ts$"] }),
    rule("kits-know-no-feature", { path: "^src/", pathNot: "^src/(main|features)/" }, { path: "^src/features/" }),
    rule("core-knows-no-transport", { path: "^src/features/", pathNot: `${EDGE}|\\.test\\.ts$` }, { path: KITS }),
    rule("sql-in-sql-files", { path: "^src/features/", pathNot: "\\.(sql|rows)\\.ts$|\\.test\\.ts$" }, { path: "node_modules/(knex|objection|pg)/", dependencyTypesNot: ["type-only"] }),
    rule("kernel-imports-nothing", { path: "^src/kernel/" }, { path: "^src/", pathNot: "^src/kernel/" }),
    rule("policy-is-pure", { path: "^src/policy/"}, { path: "^src/|node_modules", pathNot: "^src/(policy|kernel)/" }),
    rule("client-ships-alone", { path: "^src/(client|contract)/" }, { path: "^src/", pathNot: "^src/(client|contract)/" }),
    rule("browser-client-imports-nothing", { path: "^src/browser-client/" }, { path: "." , pathNot: "^src/browser-client/" }),
    rule("controller-stands-alone", { path: "^src/controller/" }, { path: "^src/", pathNot: "^src/(controller|client|contract|kernel|telemetry|config)/" }),
    rule("the-sidecar-stays-behind-its-port", { path: "^src/", pathNot: "^src/(sidecar/(local|dapr)|main)/" }, { path: "^src/sidecar/(local|dapr)/" }),
    rule("otel-stays-in-telemetry", { path: "^src/", pathNot: "^src/telemetry/" }, { path: "node_modules/@opentelemetry/" }),
    rule("kubernetes-stays-in-the-controller", { path: "^src/", pathNot: "^src/controller/" }, { path: "node_modules/@kubernetes/" }),
    rule("smtp-stays-in-mail", { path: "^src/", pathNot: "^src/mail/" }, { path: "node_modules/nodemailer/" }),
    rule("product-needs-no-test", { path: "^src/"}, { path: "^(test|bench|scripts)/" }),
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|test|bench|scripts|\\.cache|\\.data)/|\\.test\\.ts$" },
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"], extensions: [".ts", ".js"] },
  },
};
