/** The Kubernetes of tests is a real one: kinds of our own, RBAC, and it comes back with what it had. */

import { expect, it } from "@jest/globals";
import { startControlPlane } from "./control-plane.ts";
import { describeWithAll } from "./requires.ts";
import { isAlive } from "./run-folder.ts";

const CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.test.example}
spec:
  group: test.example
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shelf}
---
apiVersion: test.example/v1
kind: Thing
metadata: {name: one, namespace: shelf}
spec: {size: 1}
`;
const READER = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: shelf}
rules: [{apiGroups: [test.example], resources: [things], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: shelf}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}]
`;
const THING = "/apis/test.example/v1/namespaces/shelf/things/one";

describeWithAll(["etcd", "kube-apiserver"], "a control plane of a test's own", (paths) => {
  it("serves our kinds, holds people to RBAC, and comes back as it was", async () => {
    await using plane = await startControlPlane({ etcd: paths["etcd"] as string, apiServer: paths["kube-apiserver"] as string });
    await plane.apply(CRD);
    const token = plane.userToken("ann");
    expect((await plane.request("GET", THING, { token })).status).toBe(403);
    await plane.apply(READER);
    expect((await plane.request("GET", THING, { token })).body).toMatchObject({ kind: "Thing", spec: { size: 1 } });
    expect((await plane.request("DELETE", THING, { token })).status).toBe(403);
    expect((await plane.request("GET", THING, { token: "made-up" })).status).toBe(401);

    const { pid } = plane.apiServer;
    await plane.apiServer.kill();
    expect(isAlive(pid)).toBe(false);
    await plane.apiServer.restart();
    expect((await plane.request("GET", THING)).body).toMatchObject({ spec: { size: 1 } });
    await expect(plane.apply(CRD.replace("size: 1", "size: many"))).rejects.toThrow(/size/);
  }, 120_000);
});
