// Sandboxes as a whole, with the unmodified `@daytonaio/sdk` package of npm. Run in the folder that holds node_modules, with
// DAYTONA_API_URL and DAYTONA_API_KEY set.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

// The script lies in the repository, its dependencies in the build directory it is started in.
const require = createRequire(path.join(process.cwd(), "package.json"));
const { Daytona, DaytonaNotFoundError } = require("@daytonaio/sdk");

const client = new Daytona({ apiKey: process.env.DAYTONA_API_KEY, apiUrl: process.env.DAYTONA_API_URL });

const sandbox = await client.create({ name: "node", labels: { suite: "node" }, envVars: { A: "1" } });
try {
  assert.equal(sandbox.state, "started");
  assert.equal(sandbox.labels.suite, "node");
  assert.deepEqual(sandbox.env, { A: "1" });
  assert.equal((await client.get("node")).id, sandbox.id);
  const found = [];
  for await (const one of client.list({ labels: { suite: "node" } })) found.push(one.id);
  assert.deepEqual(found, [sandbox.id]);
  await sandbox.setLabels({ suite: "node", k: "v" });
  await sandbox.setAutostopInterval(0);
  await sandbox.stop();
  assert.equal(sandbox.state, "stopped");
  await sandbox.archive();
  await sandbox.start();
  assert.equal(sandbox.state, "started");
  await sandbox.refreshData();
  assert.deepEqual(sandbox.labels, { suite: "node", k: "v" });
  assert.equal(sandbox.autoStopInterval, 0);
} finally {
  await sandbox.delete();
}
await assert.rejects(client.get("node"), DaytonaNotFoundError);
console.log("ok");
// The client keeps a socket for events open for a while.
process.exit(0);
