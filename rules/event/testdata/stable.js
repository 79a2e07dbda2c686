// Writes stable.json: texts and what JSON.stringify(JSON.parse(text)) makes of them.
// Run it with Node.js 20 or newer: node stable.js > stable.json
'use strict';

const texts = [
  // Space, HTML and the line separators that Go would escape.
  ' { "a" : [ 1 , 2 ,\t3 ] ,\r\n "b" : { } , "c" : [ ] } ', '"<b>&amp;</b>"', '"\u2028\u2029"', '"\\u2028\\u2029"', '"\\u003cb\\u003e"',
  // Escapes.
  '"\\b\\f\\n\\r\\t\\/\\\\\\""', '"\\u0000\\u001f\\u0020\\u007f\\u0080"', '"\\u00e7\\u011f\\u0131"', '"\u00e7\u011f\u0131"', '"\\u0008\\u000A\\u000d"', '"\u007f"',
  '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\ud83d\ude00"', '"\\ud83d"', '"\\uDE00"', '"\\uD83Dx"', '"\\ud83d\\ud83d\\ude00"', '"\\ude00\\ud83d"', '"\\uDBFF\\uDFFF"', '"\\ud83d\\u0041"', '"\\uffff\\ufffe"',
  // Words and nothing.
  'true', 'false', 'null', '""', '[]', '{}', '[[],{},"",null]', ' [ ] ', '{ "a" : null }',
  // Keys that look like array indexes.
  '{"2":"b","1":"a"}', '{"b":1,"2":2,"a":3,"1":4,"10":5,"9":6}', '{"01":1,"1":2,"0":3,"00":4,"-1":5,"-0":6,"1.5":7,"1e3":8," 1":9}',
  '{"4294967294":1,"4294967295":2,"4294967293":3,"4294967296":4,"99999999999":5,"a":6,"7":7}',
  '{"z":{"2":1,"1":{"9":1,"8":[{"5":0,"4":0}]}},"0":0}', '{"\\u0032":1,"1":2}', '{"":1,"0":2}', '{"9007199254740993":1,"1":2}',
  // Keys that stand twice.
  '{"a":1,"b":2,"a":3}', '{"1":1,"0":2,"1":3}', '{"a":{"x":1},"\\u0061":[1]}', '{"a":1,"a":1,"a":{"b":2,"b":3}}', '{"__proto__":1,"constructor":2,"__proto__":3}',
  // Numbers.
  '-0', '0', '0.0', '-0.0', '0e5', '1.0', '1.50', '100', '1e2', '1E2', '1e+2', '1e-2', '10e-1', '123456789012345678901234567890', '0.1', '0.10', '1e21', '1e20', '123456789012345680000', '999999999999999900000', '1e22',
  '1e-6', '1e-7', '0.000001', '0.0000001', '0.00000123', '1.5e-9', '1.5e-10', '1e-100', '9007199254740991', '9007199254740992', '9007199254740993', '12345678901234567890', '-12345678901234567890', '0.30000000000000004', '3.0000000000000001',
  '1.7976931348623157e308', '1.7976931348623159e308', '1e400', '-1e400', '5e-324', '2e-324', '1e-400', '4.35', '2.675', '1719215254.837', '123e-20', '123456e-10', '-1.0E-5', '999999999999999', '1000000000000000', '-999999999999999', '1e15', '1e16', '0.5e1',
  '[1e400,{"a":-1e999}]',
];

// Many keys, so that both ways of looking for twins are walked.
const many = [];
for (let i = 0; i < 60; i++) many.push(`"${(i * 37) % 50 < 25 ? (i * 37) % 50 : 'k' + ((i * 37) % 50)}":${i}`);
texts.push(`{${many.join(',')}}`);

// Random numbers, from a fixed seed: every exponent, and as many digits as there are.
let seed = 42n;
const random = () => { seed = (seed * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn; return seed >> 11n; };
const bytes = new DataView(new ArrayBuffer(8));
while (texts.length < 700) {
  bytes.setBigUint64(0, (random() << 21n) ^ random());
  const f = bytes.getFloat64(0);
  if (!Number.isFinite(f)) continue;
  switch (texts.length % 4) {
    case 0: texts.push(String(f)); break;
    case 1: texts.push(f.toExponential(20)); break;
    case 2: texts.push(f.toPrecision(9)); break;
    default: texts.push(`${random() % 100000n}.${random() % 1000000n}e${Number(random() % 60n) - 30}`);
  }
}
process.stdout.write(JSON.stringify(texts.map((text) => ({text, stable: JSON.stringify(JSON.parse(text))})), null, 1) + '\n');
