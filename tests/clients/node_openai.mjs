// The whole way of a data file through a container, with the unmodified `openai` package of npm.
//
// The same flow as python_openai.py. Run in the folder that holds node_modules, with OPENAI_BASE_URL and
// OPENAI_API_KEY set, and the path of a CSV file as the only argument.

import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

// The script lies in the repository, its dependencies in the build directory it is started in.
const require = createRequire(path.join(process.cwd(), "package.json"));
const { OpenAI, NotFoundError } = require("openai");

const GROUP_BY = "weather";
const VALUE = "temp_max";
const CONTAINERS = 45;
const NAME = "node-pages";

const PROGRAM = `
import collections, csv, sys
groups = collections.defaultdict(list)
with open(sys.argv[1], newline="") as source:
    for row in csv.DictReader(source):
        groups[row["${GROUP_BY}"]].append(float(row["${VALUE}"]))
with open("/mnt/data/out.csv", "w", newline="") as target:
    writer = csv.writer(target)
    writer.writerow(["${GROUP_BY}", "mean"])
    for group in sorted(groups):
        writer.writerow([group, repr(sum(groups[group]) / len(groups[group]))])
print(len(groups))
`;

const client = new OpenAI({ maxRetries: 0 });

async function nativeExec(containerId, command) {
  const base = process.env.OPENAI_BASE_URL.replace(/\/v1$/, "");
  const response = await fetch(`${base}/lazaret/v1/sandboxes/${containerId}/exec`, {
    method: "POST",
    headers: { authorization: `Bearer ${process.env.OPENAI_API_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ command, timeout_ms: 30_000 }),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

// The CSV files in question quote nothing, so a split is a parser.
function rows(text) {
  const [header, ...lines] = text.trim().split(/\r?\n/).map((line) => line.split(","));
  return lines.map((line) => Object.fromEntries(header.map((name, at) => [name, line[at]])));
}

function means(text) {
  const groups = new Map();
  for (const row of rows(text)) {
    const [sum, count] = groups.get(row[GROUP_BY]) ?? [0, 0];
    groups.set(row[GROUP_BY], [sum + Number(row[VALUE]), count + 1]);
  }
  return Object.fromEntries([...groups].map(([group, [sum, count]]) => [group, sum / count]));
}

async function collect(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function isGone(containerId) {
  await assert.rejects(client.containers.retrieve(containerId), (error) => {
    assert.ok(error instanceof NotFoundError, String(error));
    assert.equal(error.type, "invalid_request_error");
    return true;
  });
}

async function fileThroughAContainer(dataset) {
  const upload = await client.files.create({ file: fs.createReadStream(dataset), purpose: "user_data" });
  assert.equal(upload.bytes, fs.statSync(dataset).size);
  const container = await client.containers.create({ name: "flow", memory_limit: "1g", file_ids: [upload.id] });
  assert.equal(container.status, "running");
  assert.equal(container.memory_limit, "1g");
  const [copied] = await collect(client.containers.files.list(container.id));
  assert.equal(copied.source, "user");

  const done = await nativeExec(container.id, ["python3", "-c", PROGRAM, copied.path]);
  assert.equal(done.exit_code, 0, done.stderr);
  const expected = means(fs.readFileSync(dataset, "utf8"));
  assert.equal(done.stdout, `${Object.keys(expected).length}\n`);

  const listed = await collect(client.containers.files.list(container.id, { limit: 1 }));
  const made = listed.find((file) => file.path === "/mnt/data/out.csv");
  assert.equal(made?.source, "assistant");
  const content = await client.containers.files.content.retrieve(made.id, { container_id: container.id });
  const text = await content.text();
  assert.equal(made.bytes, Buffer.byteLength(text));
  const got = Object.fromEntries(rows(text).map((row) => [row[GROUP_BY], Number(row.mean)]));
  assert.deepEqual(got, expected);

  const deleted = await client.containers.delete(container.id);
  assert.equal(deleted.object, "container.deleted");
  assert.equal(deleted.deleted, true);
  await isGone(container.id);
  await client.files.delete(upload.id);
}

async function chunkedUpload(dataset) {
  const container = await client.containers.create({ name: "chunked" });
  // A stream has no length, so this request is chunked and its file part comes first.
  const sent = await client.containers.files.create(container.id, { file: fs.createReadStream(dataset) });
  const content = await client.containers.files.content.retrieve(sent.id, { container_id: container.id });
  assert.deepEqual(Buffer.from(await content.arrayBuffer()), fs.readFileSync(dataset));
  await client.containers.delete(container.id);
}

async function pages() {
  const created = [];
  for (let at = 0; at < CONTAINERS; at += 1) created.push((await client.containers.create({ name: NAME })).id);
  for (const [order, expected] of [["asc", created], ["desc", [...created].reverse()]]) {
    const listed = await collect(client.containers.list({ name: NAME, limit: 10, order }));
    assert.deepEqual(listed.map((item) => item.id), expected);
  }
  for (const id of created) await client.containers.delete(id);
  assert.deepEqual(await collect(client.containers.list({ name: NAME })), []);
}

const dataset = process.argv[2];
await fileThroughAContainer(dataset);
await chunkedUpload(dataset);
await pages();
console.log("ok");
