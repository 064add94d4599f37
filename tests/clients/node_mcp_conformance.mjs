// The protocol's own conformance suite against `/mcp`, for what Lazaret claims: the handshake, ping and the list of tools.
//
// The suite sends no key, so a proxy in this process adds it and changes nothing else. Not claimed, and not run: prompts,
// resources, logging, sampling, elicitation and tools with the suite's own names; and its test of DNS rebinding, which is
// for servers without keys by its own words.
import { spawn } from "node:child_process";
import http from "node:http";
import path from "node:path";

const CLAIMED = ["server-initialize", "ping", "tools-list"];
const SUITE_LIMIT_MS = 60_000;

const upstream = new URL(process.env.LAZARET_URL);
const proxy = http.createServer((request, response) => {
  const headers = { ...request.headers, authorization: `Bearer ${process.env.LAZARET_API_KEY}` };
  const { method, url } = request;
  const options = { host: upstream.hostname, port: upstream.port, method, path: url, headers };
  const forwarded = http.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  forwarded.on("error", (error) => response.destroy(error));
  request.pipe(forwarded);
});
await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));

function run(scenario) {
  const program = path.join(process.cwd(), "node_modules/.bin/conformance");
  const url = `http://127.0.0.1:${proxy.address().port}/mcp`;
  const suite = spawn(program, ["server", "--url", url, "--scenario", scenario], { timeout: SUITE_LIMIT_MS });
  let said = "";
  for (const stream of [suite.stdout, suite.stderr]) stream.on("data", (bytes) => (said += bytes));
  return new Promise((resolve, reject) => {
    suite.on("error", reject);
    suite.on("close", (code) => resolve({ code, said }));
  });
}

for (const scenario of CLAIMED) {
  const { code, said } = await run(scenario);
  // Its own closing line: a suite that checked nothing has shown nothing.
  const passed = Number(/Passed: (\d+)\/\1\b/.exec(said)?.[1] ?? 0);
  if (code !== 0 || passed === 0) throw new Error(`${scenario}: ended with ${code}\n${said}`);
  console.log(`${scenario}: ${passed} checks passed`);
}
proxy.closeAllConnections();
proxy.close();
console.log("ok");
