// Compares our engine's greedy tokens with llama.cpp's, on the same weights. llama.cpp tokenizes the prompts by itself.
// usage, in a folder with node_modules: node check_greedy.mjs FLEXPERT_GREEDY MODEL_DIR MODEL.gguf
// Prints FIGURE lines; exits 0 if all agree.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const kTokens = 64;
const [program, modelDir, gguf] = process.argv.slice(2);
const cases = JSON.parse(fs.readFileSync(`${modelDir}/goldens/golden_generate.json`, "utf8")).cases;
const ours = JSON.parse(execFileSync(program, [modelDir, String(kTokens)], { input: JSON.stringify(cases.map((c) => c.messages)), maxBuffer: 1 << 28 }));

const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath: gguf });
// One thread: llama.cpp's threads spin at every operator, which takes forever on a busy machine.
const context = await model.createContext({ contextSize: 512, threads: 1 });
const sequence = context.getSequence();

let prompts = 0;
let equal = 0;
for (const [i, one] of cases.entries()) {
  const prompt = model.tokenize(one.prompt, true);
  await sequence.clearHistory();
  const theirs = [];
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    theirs.push(Number(token));
    if (theirs.length === kTokens) break;
  }
  if (JSON.stringify(ours[i].prompt) === JSON.stringify(prompt.map(Number))) ++prompts;
  else console.error(`prompt ${i} (${one.domain}): tokens differ\n  ours   ${ours[i].prompt}\n  theirs ${prompt}`);
  let first = 0;
  while (first < kTokens && theirs[first] === ours[i].tokens[first]) ++first;
  if (first === kTokens && ours[i].tokens.length === kTokens) ++equal;
  else console.error(`prompt ${i} (${one.domain}): first difference at token ${first}, best two logits ${one.margins[first]} apart in the golden run\n  ours   ${ours[i].tokens}\n  theirs ${theirs}`);
}
const line = (figure, value) => {
  const holds = value === cases.length && cases.length === 24;
  console.log(`${figure} ${value} of_${cases.length} bar 24: ${holds ? "holds" : "falls short"}`);
  return holds;
};
const good = [line("oracle.greedy_prompts_equal", equal), line("oracle.prompt_tokens_equal", prompts)];
await llama.dispose();
process.exit(good.every(Boolean) ? 0 : 1);
