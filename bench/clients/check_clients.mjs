// usage: check_clients.mjs FLEXPERT    Runs every behaviour with every client against `flexpert gateway` in front of a scripted upstream.
// Prints one line per failure and, last, "gateway-clients.CLIENT HELD of TOTAL".
import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import readline from 'node:readline';
import { Upstream, models } from './upstream.mjs';
import { OpenAiClient, LangChainClient, AiSdkClient } from './clients.mjs';
import { behaviours } from './behaviours.mjs';

const flexpert = process.argv[2];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flexpert-clients-'));
const upstream = new Upstream();
const port = await upstream.listen();
const config = path.join(folder, 'gateway.yaml');
const allowed = models.filter((model) => model !== 'forbidden');
fs.writeFileSync(config, `
gateway:
  listen: 127.0.0.1:0
  metrics_listen: 127.0.0.1:0
access:
  keys_file: ${folder}/keys.db
  pepper_file: ${folder}/pepper
  policy:
    roles:
      tester: {models: [${allowed.join(', ')}]}
    tenants:
      acme: {requests_per_minute: 100000, tokens_per_minute: 100000000}
upstreams:
  - {name: scripted, url: "http://127.0.0.1:${port}", models: [${models.join(', ')}]}
`);
const made = JSON.parse(execFileSync(flexpert, ['keys', 'create', '-c', config, '--tenant', 'acme', '--role', 'tester', '--name', 'clients', '--json']));
const gateway = spawn(flexpert, ['gateway', '-c', config], { stdio: ['ignore', 'pipe', 'inherit'] });
let url;
for await (const line of readline.createInterface({ input: gateway.stdout })) {
  const found = /gateway listening on (http:\/\/\S+)/.exec(line);
  if (found) { url = `${found[1]}/v1`; break; }
}
if (!url) { console.error('the gateway did not start'); process.exit(1); }
gateway.stdout.resume();
for (let i = 0; i < 200; ++i) {  // until the upstream was probed
  const response = await fetch(`${url}/chat/completions`, { method: 'POST', headers: { Authorization: `Bearer ${made.key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'plain', messages: [] }) });
  await response.text();
  if (response.status === 200) break;
  await new Promise((resolve) => setTimeout(resolve, 50));
}

process.on('unhandledRejection', () => {});  // promises of a client beside the one that is looked at
for (const Client of [OpenAiClient, LangChainClient, AiSdkClient]) {
  let held = 0;
  const names = Object.keys(behaviours);
  for (const name of names) {
    const client = (more = {}) => new Client({ url, key: made.key, ...more });
    const timeout = new Promise((_, reject) => setTimeout(() => reject(new Error('took over 30 s')), 30_000).unref());
    try {
      await Promise.race([behaviours[name]({ client, upstream }), timeout]);
      ++held;
    } catch (error) {
      console.log(`${Client.title}: ${name}: ${error.message.split('\n').slice(0, 3).join(' | ')}`);
    }
  }
  console.log(`gateway-clients.${Client.title.split(' ')[0]} ${held} of ${names.length}`);
}
gateway.kill('SIGTERM');
await once(gateway, 'exit');
upstream.close();
fs.rmSync(folder, { recursive: true });
process.exit(0);
