#include "emulator/atc/display.h"

#include <map>
#include <sstream>

namespace emulator::atc {
namespace {

std::string dims_text(const Shape& dims) {
  std::string text = "[";
  for (const int64_t axis : dims) text.append(text.size() > 1 ? "," : "").append(std::to_string(axis));
  return text.append("]");
}

void write_ports(std::ostream& out, const char* title, const std::vector<Port>& ports) {
  out << "============ Display " << title << " info ============\n";
  for (const Port& port : ports) {
    out << port.name << " " << element_name(port.element) << " " << dims_text(port.dims) << "\n";
  }
}

}  // namespace

std::string display_text(const Metadata& metadata) {
  std::ostringstream out;
  out << "============ Display Model Info start ============\n"
      << "Original Atc command line: " << metadata.command_line << "\n"
      << "system info: npuserve emulator, soc version[" << metadata.soc_version << "]\n"
      << "resource info: memory size [" << metadata.work_bytes << " B], weight size [" << metadata.weight_bytes
      << " B], stream num [1], event num [0]\n"
      << "precision mode: " << metadata.precision_mode << "\n";
  write_ports(out, "input", metadata.inputs);
  write_ports(out, "output", metadata.outputs);
  if (metadata.gear_kind != GearKind::none) {
    out << "============ Display gear info ============\n";
    for (const Gear& gear : metadata.gears) out << dims_text(gear.values) << "\n";
  }
  std::map<std::string, size_t> counts;
  for (const Operator& each : metadata.operators) ++counts[each.type + " " + each.precision];
  out << "============ Display operator info ============\n";
  for (const auto& [type, count] : counts) out << type << " " << count << "\n";
  out << "============ Display Model Info end ============\n";
  return out.str();
}

}  // namespace emulator::atc
