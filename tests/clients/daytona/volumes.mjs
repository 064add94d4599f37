// Volumes with the unmodified `@daytonaio/sdk` package of npm. Run in the folder that holds node_modules, with
// DAYTONA_API_URL and DAYTONA_API_KEY set.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

// The script lies in the repository, its dependencies in the build directory it is started in.
const require = createRequire(path.join(process.cwd(), "package.json"));
const { Daytona, DaytonaError, DaytonaNotFoundError } = require("@daytonaio/sdk");

const client = new Daytona({ apiKey: process.env.DAYTONA_API_KEY, apiUrl: process.env.DAYTONA_API_URL });

await assert.rejects(client.volume.get("node"), DaytonaNotFoundError);
const volume = await client.volume.get("node", true);
assert.equal(volume.state, "ready");
assert.deepEqual((await client.volume.list()).map((one) => one.id), [volume.id]);
const mounted = (mountPath, subpath) => client.create({ volumes: [{ volumeId: volume.id, mountPath, subpath }] });
const one = await mounted("/data");
const other = await mounted("/sub", "a/b");
try {
  assert.deepEqual(one.volumes, [{ volumeId: volume.id, mountPath: "/data" }]);
  await other.process.executeCommand("echo hello > /sub/file");
  assert.equal((await one.process.executeCommand("cat /data/a/b/file")).result.trim(), "hello");
  await assert.rejects(client.volume.delete(volume), (error) => error instanceof DaytonaError && error.statusCode === 409);
} finally {
  await one.delete();
  await other.delete();
}
await client.volume.delete(volume);
assert.deepEqual(await client.volume.list(), []);
console.log("ok");
// The client keeps a socket for events open for a while.
process.exit(0);
