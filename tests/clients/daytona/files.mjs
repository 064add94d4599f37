// Files of a sandbox, with the unmodified `@daytonaio/sdk` package of npm. Run in the folder that holds node_modules, with
// DAYTONA_API_URL and DAYTONA_API_KEY set.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

// The script lies in the repository, its dependencies in the build directory it is started in.
const require = createRequire(path.join(process.cwd(), "package.json"));
const { Daytona, DaytonaNotFoundError } = require("@daytonaio/sdk");

const client = new Daytona({ apiKey: process.env.DAYTONA_API_KEY, apiUrl: process.env.DAYTONA_API_URL });

const sandbox = await client.create({ name: "node-files" });
try {
  const blob = Buffer.alloc(5_000_000, "0123456789abcdef");
  await sandbox.fs.uploadFile(blob, "data/blob.bin");
  assert.ok((await sandbox.fs.downloadFile("data/blob.bin")).equals(blob));
  await sandbox.fs.uploadFiles([
    { source: Buffer.from("one"), destination: "data/1 é.txt" },
    { source: Buffer.from("two"), destination: "data/2.txt" },
  ]);
  assert.equal((await sandbox.fs.downloadFile("data/1 é.txt")).toString(), "one");
  const names = (await sandbox.fs.listFiles("data")).map((file) => file.name).sort();
  assert.deepEqual(names, ["1 é.txt", "2.txt", "blob.bin"]);
  assert.equal((await sandbox.fs.getFileDetails("data/2.txt")).size, 3);
  await assert.rejects(sandbox.fs.downloadFile("data/none"), DaytonaNotFoundError);
  await sandbox.fs.createFolder("data/sub", "755");
  await sandbox.fs.moveFiles("data/2.txt", "data/sub/3.txt");
  assert.equal((await sandbox.fs.findFiles("data", "two"))[0].file, "data/sub/3.txt");
  assert.equal((await sandbox.fs.searchFiles("data", "*.txt")).files.length, 2);
  await sandbox.fs.replaceInFiles(["data/sub/3.txt"], "two", "2");
  assert.equal((await sandbox.fs.downloadFile("data/sub/3.txt")).toString(), "2");
  await sandbox.fs.deleteFile("data/sub", true);
} finally {
  await sandbox.delete();
}
console.log("ok");
// The client keeps a socket for events open for a while.
process.exit(0);
