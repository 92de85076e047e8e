// Generates strings.json: 200 texts for the tokenizer parity check. Seeded: a second run gives the same file.
// usage: node make_strings.mjs > strings.json
let state = 20261122;
const below = (n) => {  // mulberry32
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
};
const pick = (list) => list[below(list.length)];
const many = (least, most, make) => Array.from({ length: least + below(most - least + 1) }, make);
const point = (first, last) => String.fromCodePoint(first + below(last - first + 1));

const words = ("the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which you one " +
  "were her all their there been if more when will would who so no Whereupon notwithstanding Elizabeth COVENANT tokenization replica " +
  "don't I'll we've you're he'd it's I'm DON'T WE'LL can't o'clock 'tis rock'n'roll John's James'").split(" ");
const code = ["def f(self, x: int = 0) -> None:", "    return [i**2 for i in range(10) if i % 3 != 0]", "for (int i = 0; i < n; ++i) {", "}", "\tif err != nil {",
  "\t\treturn nil, fmt.Errorf(\"bad %q: %w\", s, err)", "#include <vector>", "std::vector<std::uint8_t> v{0x00, 0xFF};", "SELECT * FROM t WHERE a >= 1.5e-3;",
  "<div class=\"a b\">&nbsp;</div>", "x=1;y=x+++--z", "// ---------- TODO's list ----------", "lambda x: x@y", "{\"key\": [1, 2, {\"n\": null}]}", "a\\n\\t\\u0041", "s/[^a-z]+/_/g", "$HOME/.config", "__init__"];
const white = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\n ", "\t \t", "\u00a0", "\u2003", "\u3000", "        ", "\n\n\n\n    ", "\u2028", "\v", "\f"];
const kinds = {
  prose: () => many(3, 25, () => pick(words) + pick(["", "", "", ",", ".", "!", "?", ";", ":", "...", "\u2014"])).join(" "),
  code: () => many(1, 6, () => pick(code)).join(pick(["\n", "\n", "\r\n", "\n\n", "\n    "])),
  whitespace: () => many(2, 12, () => pick(white) + pick(["", "", pick(words), "x", "7", "!", "'s"])).join(""),
  digits: () => many(1, 10, () => pick(["0", "42", "1234567890", "3.14159", "1,000,000", "-7", "2026-11-22", "0xFF", "1e-9", "\u00b2\u00bd", "\u0664\u0662", "\u2167", "\u0967\u0968", "\uff11\uff12"])).join(pick([" ", "", "+", " + "])),
  latin: () => many(2, 12, () => pick(["caf\u00e9", "na\u00efve", "\u00dcber", "stra\u00dfe", "\u0141\u00f3d\u017a", "\u0130stanbul", "\u00e6\u00f8\u00e5", "\u01c4", "\ufb01sh", "\u00aa\u00ba", "c\u0153ur", "\u00c5ngstr\u00f6m"])).join(pick([" ", "-", ", "])),
  combining: () => many(1, 10, () => pick(["e\u0301", "a\u0308\u0323", "a\u0323\u0308", "o\u0302\u0301", "n\u0303o", "\u212b", "\u2126", "\u1e9b\u0323", "\u0344", "q\u0307\u0323", "\u0301x", "\u0958", "A\u030a"])).join(pick(["", " "])),
  cjk: () => many(2, 25, () => pick([() => point(0x4e00, 0x9fa5), () => point(0x3041, 0x3096), () => point(0x30a1, 0x30fa), () => point(0xac00, 0xd7a3), () => pick(["\u3002", "\uff0c", "\u300c", "\u300d", "\u3000", "\uff01"])])()).join(""),
  jamo: () => many(1, 8, () => point(0x1100, 0x1112) + point(0x1161, 0x1175) + pick(["", point(0x11a8, 0x11c2)])).join(pick(["", " "])),
  emoji: () => many(1, 8, () => pick(["\ud83d\ude00", "\ud83d\udc4d\ud83c\udffd", "\ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67", "\ud83c\uddea\ud83c\uddfa", "\u2764\ufe0f", "1\ufe0f\u20e3", "\u2728", "\ud83e\udd16", "x"])).join(pick(["", " ", "!"])),
  scripts: () => many(2, 12, () => pick(["\u041f\u0440\u0438\u0432\u0435\u0442", "\u03ba\u03cc\u03c3\u03bc\u03b5", "\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05b8\u05dc\u05d5\u05b9\u05dd", "\u0645\u0631\u062d\u0628\u0627", "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u0531\u0580\u0587", "\u10d2\u10d0\u10db", "\ud835\udc00\ud835\udfd9", "\ud800\udf30"])).join(pick([" ", ""])),
  punctuation: () => many(2, 20, () => pick(["!", "?", "...", "--", "''", "\"", "'", "((", "))", "[]", "<|", "|>", "\u201c", "\u201d", "\u2019s", "\u00bf", "\u20ac", "$", "%", "^", "~", "\u00b1", "\u2260", "\u00ad", "\u200b", "\u0000", "\u007f"])).join(pick(["", " ", "a"])),
  special: () => many(1, 6, () => pick(["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_start", "im_end|>", "<think>", "</think>", "user\n", "assistant\n", "hello", " ", "\n"])).join(""),
};
const random = () => {  // any assigned-looking code points, outside the surrogates and the end of each plane
  const one = () => pick([() => point(0x20, 0x7e), () => point(0xa1, 0x24f), () => point(0x370, 0x3ff), () => point(0x400, 0x52f), () => point(0x900, 0x97f), () => point(0x2010, 0x2027), () => point(0x2190, 0x22ff), () => point(0x1f300, 0x1f5ff), () => pick(white)])();
  return many(5, 40, one).join("");
};
const mixed = () => many(2, 6, () => pick(Object.values(kinds))()).join(pick(["", " ", "\n"]));

const texts = new Set();
const makers = [...Object.values(kinds), random, mixed, mixed, mixed];
for (let i = 0; texts.size < 200; ++i) texts.add(makers[i % makers.length]());
process.stdout.write("[\n" + [...texts].map((t) => JSON.stringify(t).replace(/[\u007f-\uffff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"))).join(",\n") + "\n]\n");
