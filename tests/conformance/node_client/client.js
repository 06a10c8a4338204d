// What a Node.js user does: calls made from the proto files alone. Writes all that it sees as JSON.
//
// Arguments: the server's address, and the folder of the proto files.
"use strict";

const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const CALL_MS = 20000;
const [address, protos] = process.argv.slice(2);

function load(file) {
  const options = { keepCase: true, longs: String, enums: String, defaults: false, oneofs: true, includeDirs: [protos] };
  return grpc.loadPackageDefinition(loader.loadSync(path.join(protos, file), options));
}

function int32(numbers) {
  return Buffer.from(Int32Array.from(numbers).buffer);
}

function numbers(buffer) {
  return Array.from({ length: buffer.length / 4 }, (_, index) => buffer.readInt32LE(4 * index));
}

// A request to a model that answers with the sum and the difference of its inputs.
function pair(model, id, rows) {
  const count = 16 * rows;
  const input = (name) => ({ name, datatype: "INT32", shape: [rows, 16] });
  const first = Array.from({ length: count }, (_, index) => index);
  return {
    model_name: model,
    id,
    inputs: [input("INPUT0"), input("INPUT1")],
    raw_input_contents: [int32(first), int32(first.map(() => 5))],
  };
}

function seen(response) {
  return {
    id: response.id,
    model: response.model_name,
    version: response.model_version,
    outputs: response.outputs.map((output, index) => ({
      name: output.name,
      datatype: output.datatype,
      shape: output.shape,
      data: numbers(response.raw_output_contents[index]),
    })),
  };
}

// Makes a unary call; an error is an answer too.
function unary(client, method, request) {
  return new Promise((resolve) => {
    const deadline = new Date(Date.now() + CALL_MS);
    client[method](request, { deadline }, (error, response) => {
      resolve(error ? { code: grpc.status[error.code], details: error.details } : { code: "OK", response });
    });
  });
}

// Sends all requests on one stream, and returns all messages of it.
function stream(client, requests) {
  return new Promise((resolve) => {
    const messages = [];
    const call = client.ModelStreamInfer({ deadline: new Date(Date.now() + CALL_MS) });
    call.on("data", (message) => {
      const error = message.error_message;
      messages.push(error ? { error, id: message.infer_response.id } : seen(message.infer_response));
    });
    call.on("error", () => {}); // the status says it
    call.on("status", (status) => resolve({ code: grpc.status[status.code], messages }));
    for (const request of requests) call.write(request);
    call.end();
  });
}

async function inferred(client, request) {
  const answer = await unary(client, "ModelInfer", request);
  return answer.code === "OK" ? seen(answer.response) : answer;
}

async function main() {
  const credentials = grpc.credentials.createInsecure();
  const { GRPCInferenceService } = load("inference.proto").inference;
  const { Health } = load("health.proto").grpc.health.v1;
  const client = new GRPCInferenceService(address, credentials);
  const health = new Health(address, credentials);
  const report = {
    health: await unary(health, "Check", { service: "" }),
    ready: await unary(client, "ModelReady", { name: "pair" }),
    metadata: await unary(client, "ModelMetadata", { name: "pair" }),
    infer: await inferred(client, pair("pair", "from node", 2)),
    typed: await inferred(client, {
      model_name: "fixed",
      inputs: [{ name: "INPUT0", datatype: "FP32", shape: [2, 3], contents: { fp32_contents: [0, 0, 0, 0, 0, 0] } }],
    }),
    unknown: await unary(client, "ModelInfer", pair("nope", "", 1)),
    refused: await unary(client, "ModelInfer", pair("pair", "large", 9)),
    stream: await stream(client, [pair("pair", "first", 1), pair("nope", "second", 1), pair("pair", "third", 1)]),
  };
  client.close();
  health.close();
  process.stdout.write(JSON.stringify(report));
}

main();
