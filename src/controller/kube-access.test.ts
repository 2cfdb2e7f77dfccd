import { describe, expect, it } from "@jest/globals";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runFolder } from "../../test/kit/run-folder.ts";
import { findKubeAccess } from "./kube-access.ts";

/** A folder with a kubeconfig as people have them. */
async function kubeconfig(user: string): Promise<string> {
  const folder = await mkdtemp(join(runFolder(), "kubeconfig-"));
  await writeFile(join(folder, "ca.crt"), "the authority");
  await writeFile(join(folder, "token"), "from-a-file\n");
  const text = `
apiVersion: v1
kind: Config
current-context: here
contexts:
  - { name: there, context: { cluster: far, user: me } }
  - { name: here, context: { cluster: near, user: me } }
clusters:
  - { name: far, cluster: { server: "https://far:6443", insecure-skip-tls-verify: true } }
  - { name: near, cluster: { server: "https://near:6443/", certificate-authority: ca.crt } }
users:
  - { name: me, user: ${user.replace("FOLDER", folder)} }
`;
  await writeFile(join(folder, "config"), text);
  return join(folder, "config");
}

describe("access to Kubernetes", () => {
  it("is that of a kubeconfig's current context, with paths beside it", async () => {
    const access = await findKubeAccess({ KUBECONFIG: await kubeconfig("{ token: in-clear }"), KUBERNETES_SERVICE_HOST: "10.96.0.1" });
    expect(access.server).toBe("https://near:6443");
    expect(access.tls.ca?.toString()).toBe("the authority");
    expect(access.tls.rejectUnauthorized).toBeUndefined();
    expect(await access.headers()).toEqual({ Authorization: "Bearer in-clear" });
  });

  it("takes a token from a file as a header can hold it", async () => {
    const user = "{ auth-provider: { name: tokenFile, config: { tokenFile: FOLDER/token } } }";
    const access = await findKubeAccess({ KUBECONFIG: await kubeconfig(user) });
    expect(await access.headers()).toEqual({ Authorization: "Bearer from-a-file" });
  });

  it("says what lacks where there is none", async () => {
    await expect(findKubeAccess({})).rejects.toThrow("neither KUBECONFIG nor KUBERNETES_SERVICE_HOST");
    // A pod without the files of its service account.
    await expect(findKubeAccess({ KUBERNETES_SERVICE_HOST: "10.96.0.1" })).rejects.toThrow("ENOENT");
  });
});
