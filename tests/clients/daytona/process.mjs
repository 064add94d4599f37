// Processes with the unmodified `@daytonaio/sdk` package of npm. Run in the folder that holds node_modules, with
// DAYTONA_API_URL and DAYTONA_API_KEY set.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

// The script lies in the repository, its dependencies in the build directory it is started in.
const require = createRequire(path.join(process.cwd(), "package.json"));
const { Daytona, DaytonaNotFoundError } = require("@daytonaio/sdk");

const client = new Daytona({ apiKey: process.env.DAYTONA_API_KEY, apiUrl: process.env.DAYTONA_API_URL });

const sandbox = await client.create({ language: "typescript", envVars: { GREETING: "hello" } });
try {
  const run = await sandbox.process.executeCommand("echo $GREETING $A; exit 3", "/tmp", { A: "1" });
  assert.deepEqual([run.exitCode, run.result], [3, "hello 1\n"]);
  const snippet = "const n: number = 42; console.log(n, process.argv.slice(1).join());";
  const code = await sandbox.process.codeRun(snippet, { argv: ["a"] });
  assert.deepEqual([code.exitCode, code.result], [0, "42 a\n"]);

  await sandbox.process.createSession("s");
  const done = await sandbox.process.executeSessionCommand("s", { command: "X=1; echo out; echo err >&2" });
  assert.deepEqual([done.exitCode, done.stdout, done.stderr], [0, "out\n", "err\n"]);
  const job = await sandbox.process.executeSessionCommand("s", {
    command: "read line; echo $X $line; echo warn >&2",
    runAsync: true,
  });
  let out = "";
  let err = "";
  const followed = sandbox.process.getSessionCommandLogs(
    "s",
    job.cmdId,
    (chunk) => (out += chunk),
    (chunk) => (err += chunk),
  );
  await sandbox.process.sendSessionCommandInput("s", job.cmdId, "ping");
  await followed;
  assert.match(out, /1 ping\n/);
  assert.equal(err, "warn\n");
  await sandbox.process.deleteSession("s");
  await assert.rejects(sandbox.process.getSession("s"), DaytonaNotFoundError);

  // Node's client gives up unless one of the subprotocols that it offers is chosen.
  const decoder = new TextDecoder();
  let screen = "";
  const pty = await sandbox.process.createPty({
    id: "p",
    envs: { PV: "pv" },
    rows: 30,
    cols: 100,
    onData: (bytes) => (screen += decoder.decode(bytes, { stream: true })),
  });
  await pty.waitForConnection();
  await pty.sendInput("echo $PV-ok; stty size; exit 7\n");
  const end = await pty.wait();
  assert.equal(end.exitCode, 7);
  assert.match(screen, /pv-ok/);
  assert.match(screen, /30 100/);
  await pty.disconnect();
} finally {
  await sandbox.delete();
}
console.log("ok");
// The client keeps a socket for events open for a while.
process.exit(0);
