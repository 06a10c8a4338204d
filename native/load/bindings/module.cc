// The extension module `_load`: the client, the buckets of its histograms, and the reading end of mirrored requests.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/mirror_ring.h"
#include "load/client.h"

namespace py = pybind11;

namespace npuserve::load::bindings {
namespace {

// From the first bucket that counts anything to the last: (first, counts as uint64).
std::tuple<size_t, py::bytes> counts_of(const Histogram& histogram) {
  const std::span<const uint64_t> counts = histogram.counts();
  const auto is_used = [](uint64_t count) { return count != 0; };
  const auto first = std::ranges::find_if(counts, is_used);
  auto last = counts.end();
  while (last != first && *(last - 1) == 0) --last;
  const auto size = static_cast<size_t>(last - first) * sizeof(uint64_t);
  const auto begin = static_cast<size_t>(first - counts.begin());
  return {size == 0 ? 0 : begin, py::bytes(size == 0 ? "" : reinterpret_cast<const char*>(&*first), size)};
}

py::dict fields_of(const Histogram& histogram) {
  const auto [first, counts] = counts_of(histogram);
  py::dict fields;
  fields["first"] = first;
  fields["counts"] = counts;
  fields["min_ns"] = histogram.min_ns();
  fields["max_ns"] = histogram.max_ns();
  fields["sum_ns"] = histogram.sum_ns();
  return fields;
}

py::dict fields_of(const Tally& tally) {
  py::dict failures;
  for (const auto& [code, of] : tally.failures) {
    // A server's words: not surely UTF-8.
    failures[py::int_(code)] = py::make_tuple(of.count, py::bytes(of.example));
  }
  py::dict fields;
  fields["latency"] = fields_of(tally.latency);
  fields["service"] = fields_of(tally.service);
  fields["failures"] = failures;
  fields["sent"] = tally.sent;
  fields["sent_bytes"] = tally.sent_bytes;
  fields["received_bytes"] = tally.received_bytes;
  fields["behind_ns"] = tally.behind_ns;
  return fields;
}

Protocol protocol_of(const std::string& name) {
  if (name == "grpc") return Protocol::kGrpc;
  if (name == "grpc_stream") return Protocol::kGrpcStream;
  if (name == "http") return Protocol::kHttp;
  throw py::value_error("unknown protocol '" + name + "'");
}

ClientOptions make_options(std::string address, uint16_t port, const std::string& protocol, Fields head,
                           std::vector<std::string> requests, uint32_t connections, uint32_t concurrency, uint32_t part,
                           uint32_t parts, uint32_t kept_answers, std::optional<double> per_second, bool poisson,
                           uint64_t seed) {
  ClientOptions options{.address = std::move(address),
                        .port = port,
                        .protocol = protocol_of(protocol),
                        .head = std::move(head),
                        .requests = std::move(requests),
                        .connections = connections,
                        .concurrency = concurrency,
                        .first = part,
                        .step = parts,
                        .kept_answers = kept_answers,
                        .arrivals = {}};
  if (per_second && *per_second <= 0) throw py::value_error("per_second must be positive");
  if (per_second) {
    options.arrivals = {.per_second = *per_second, .poisson = poisson, .part = part, .parts = parts, .seed = seed};
  }
  return options;
}

py::dict kept(const Client& client) {
  py::dict answers;
  for (const auto& [request, body] : client.answers()) answers[py::int_(request)] = py::bytes(body);
  return answers;
}

py::bytes bytes_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Up to `most` records, oldest first: (request, answer, live_ns, status, compressed).
py::list taken(core::MirrorReader& reader, size_t most) {
  py::list records;
  while (records.size() < most) {
    const std::optional<core::MirrorRecord> record = reader.front();
    if (!record) break;
    records.append(py::make_tuple(bytes_of(record->request), bytes_of(record->answer), record->live_ns, record->status,
                                  record->compressed));
    reader.pop();
  }
  return records;
}

py::dict counts_of(const core::MirrorReader& reader) {
  py::dict counts;
  for (size_t i = 0; i < core::kMirrorCountNames.size(); ++i) {
    counts[py::str(core::kMirrorCountNames[i])] = reader.count(static_cast<core::MirrorCount>(i));
  }
  return counts;
}

}  // namespace

PYBIND11_MODULE(_load, module) {
  module.doc() = "The native parts of `npuserve bench` and `npuserve shadow`.";
  module.attr("BUCKETS") = Histogram::kBuckets;
  module.attr("PRECISION_BITS") = Histogram::kPrecisionBits;
  module.def("bucket_of", &Histogram::bucket_of, py::arg("value_ns"));
  module.def("now_ns", &core::steady_now_ns);
  using ReleaseGil = py::call_guard<py::gil_scoped_release>;
  py::class_<Client>(module, "Client")
      .def(py::init([](std::string address, uint16_t port, const std::string& protocol, Fields head,
                       std::vector<std::string> requests, uint32_t connections, uint32_t concurrency, uint32_t part,
                       uint32_t parts, uint32_t kept_answers, std::optional<double> per_second, bool poisson,
                       uint64_t seed) {
             return std::make_unique<Client>(make_options(std::move(address), port, protocol, std::move(head),
                                                          std::move(requests), connections, concurrency, part, parts,
                                                          kept_answers, per_second, poisson, seed));
           }),
           py::kw_only(), py::arg("address"), py::arg("port"), py::arg("protocol"), py::arg("head"),
           py::arg("requests"), py::arg("connections"), py::arg("concurrency"), py::arg("part"), py::arg("parts"),
           py::arg("kept_answers"), py::arg("per_second"), py::arg("poisson"), py::arg("seed"))
      .def("connect", &Client::connect, py::arg("until_ns"), ReleaseGil())
      .def("start", &Client::start, py::arg("start_ns"))
      .def("run", &Client::run, py::arg("until_ns"), ReleaseGil())
      .def("drain", &Client::drain, py::arg("until_ns"), ReleaseGil())
      .def("take", [](Client& client) { return fields_of(client.take()); })
      .def_property_readonly("in_flight", &Client::in_flight)
      .def_property_readonly("answers", &kept);
  py::class_<core::MirrorReader>(module, "MirrorReader")
      .def(py::init<int>(), py::arg("file"))
      .def("take", &taken, py::arg("most"))
      .def("counts", [](const core::MirrorReader& reader) { return counts_of(reader); })
      .def_property_readonly("waiting_bytes", &core::MirrorReader::waiting_bytes);
}

}  // namespace npuserve::load::bindings
