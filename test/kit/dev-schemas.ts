/**
 * The shapes of the files for development, as far as these files go: a member that is not listed here is refused. Written after the
 * Compose Specification, skaffold v4beta13, kind v1alpha4 and the Development Containers Specification.
 */

import { z } from "zod";

const texts = z.array(z.string());
const need = z.strictObject({
  condition: z.enum(["service_started", "service_healthy", "service_completed_successfully"]),
  restart: z.boolean().optional(),
});
const duration = z.string().regex(/^\d+(ms|s|m)$/);

const service = z.strictObject({
  image: z.string(),
  build: z.string().optional(),
  entrypoint: texts.optional(),
  command: texts.optional(),
  user: z
    .string()
    .regex(/^\d+:\d+$/)
    .optional(),
  init: z.boolean().optional(),
  hostname: z.string().optional(),
  restart: z.enum(["no", "unless-stopped"]).optional(),
  network_mode: z
    .string()
    .regex(/^(none|service:[a-z-]+)$/)
    .optional(),
  profiles: z.array(z.literal("observability")).optional(),
  environment: z.record(z.string().regex(/^[A-Z_]+$/), z.string()).optional(),
  ports: z.array(z.string().regex(/^127\.0\.0\.1:\d+:\d+$/, "published on loopback only")).optional(),
  volumes: z.array(z.string().regex(/^[./a-z][^:]*:\/[^:]*(:ro|:cached)?$/)).optional(),
  depends_on: z.record(z.string(), need).optional(),
  healthcheck: z
    .strictObject({
      test: texts,
      interval: duration,
      timeout: duration,
      start_period: duration,
    })
    .optional(),
  stop_grace_period: duration.optional(),
});

/** compose.yaml. */
export const composeFile = z.strictObject({
  name: z.string(),
  "x-process": z.unknown(),
  "x-environment": z.unknown(),
  "x-daprd": z.unknown(),
  services: z.record(z.string().regex(/^[a-z-]+$/), service),
  volumes: z.record(z.string(), z.null()),
});

/** .devcontainer/compose.yaml, which adds to it. */
export const addedComposeFile = z.strictObject({
  services: z.record(z.string(), z.union([service, z.strictObject({ ports: z.array(z.never()) })])),
});

/** .devcontainer/devcontainer.json. */
export const devContainer = z.strictObject({
  name: z.string(),
  dockerComposeFile: texts,
  service: z.string(),
  runServices: texts,
  workspaceFolder: z.string(),
  remoteUser: z.string(),
  forwardPorts: z.array(z.union([z.number().int(), z.string().regex(/^[a-z]+:\d+$/)])),
  portsAttributes: z.record(z.string(), z.strictObject({ label: z.string() })),
  postCreateCommand: z.string(),
  customizations: z.strictObject({ vscode: z.strictObject({ extensions: texts }) }),
});

/** k8s/kind.yaml. */
export const kindCluster = z.strictObject({
  kind: z.literal("Cluster"),
  apiVersion: z.literal("kind.x-k8s.io/v1alpha4"),
  name: z.string(),
  nodes: z.array(
    z.strictObject({
      role: z.literal("control-plane"),
      image: z.string(),
      extraPortMappings: z.array(
        z.strictObject({ containerPort: z.number().int(), hostPort: z.number().int(), listenAddress: z.literal("127.0.0.1") }),
      ),
    }),
  ),
});

/** A release of skaffold's helm deployer. */
export const helmRelease = z.strictObject({
  name: z.string(),
  repo: z.string().optional(),
  remoteChart: z.string().optional(),
  chartPath: z.string().optional(),
  version: z.string().optional(),
  namespace: z.string(),
  createNamespace: z.boolean().optional(),
  wait: z.boolean().optional(),
  valuesFiles: texts.optional(),
  setValues: z.record(z.string(), z.union([z.string(), z.boolean()])).optional(),
  setValueTemplates: z.record(z.string(), z.string()).optional(),
});

const hostHook = z.strictObject({ host: z.strictObject({ command: texts }) });

/** One document of skaffold.yaml. */
export const skaffoldConfig = z.strictObject({
  apiVersion: z.literal("skaffold/v4beta13"),
  kind: z.literal("Config"),
  metadata: z.strictObject({ name: z.string() }),
  requires: z.array(z.strictObject({ configs: texts })).optional(),
  build: z
    .strictObject({
      artifacts: z.array(z.strictObject({ image: z.string(), docker: z.strictObject({ dockerfile: z.string() }) })),
      local: z.strictObject({ push: z.boolean() }),
    })
    .optional(),
  manifests: z.strictObject({ rawYaml: texts }).optional(),
  deploy: z.strictObject({
    kubeContext: z.string(),
    statusCheckDeadlineSeconds: z.number().int().optional(),
    kubectl: z.strictObject({ hooks: z.strictObject({ before: z.array(hostHook) }) }).optional(),
    helm: z.strictObject({ releases: z.array(helmRelease) }).optional(),
  }),
});
