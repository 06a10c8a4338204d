// k6 against a model of tokens over HTTP, with binary tensors of true lengths: an open loop of RATE requests a second.
//
//   k6 run -e URL=http://localhost:8000 -e MODEL=tokens -e RATE=200 -e DURATION=30s k6.js
//
// LENGTHS=16,24,61 are the lengths of the requests; DATATYPE=INT32 for models that take it.
import { check } from 'k6';
import http from 'k6/http';

const url = `${__ENV.URL || 'http://localhost:8000'}/v2/models/${__ENV.MODEL || 'tokens'}/infer`;
const names = (__ENV.INPUTS || 'input_ids,attention_mask').split(',');
const lengths = (__ENV.LENGTHS || '16').split(',').map(Number);
const datatype = __ENV.DATATYPE || 'INT64';

export const options = {
  scenarios: {
    open: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE || 100),
      timeUnit: '1s',
      duration: __ENV.DURATION || '10s',
      preAllocatedVUs: 64,
    },
  },
  thresholds: { http_req_failed: ['rate<0.001'], checks: ['rate==1'] },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
};

// One row of ones: the JSON head, then each input's bytes, little-endian.
function request(length) {
  const size = length * (datatype === 'INT32' ? 4 : 8);
  const head = JSON.stringify({
    inputs: names.map((name) => ({
      name, datatype, shape: [1, length], parameters: { binary_data_size: size },
    })),
    parameters: { binary_data_output: true },
  });
  const body = new Uint8Array(head.length + size * names.length);
  for (let i = 0; i < head.length; i += 1) body[i] = head.charCodeAt(i);
  for (let i = head.length; i < body.length; i += size / length) body[i] = 1;
  return {
    body: body.buffer,
    headers: { 'Inference-Header-Content-Length': String(head.length), 'Content-Type': 'application/octet-stream' },
  };
}

const requests = lengths.map(request);

export default function () {
  const chosen = requests[Math.floor(Math.random() * requests.length)];
  const answer = http.post(url, chosen.body, { headers: chosen.headers, responseType: 'binary' });
  check(answer, { 'is an answer': (got) => got.status === 200 });
}
