# libascendcl.so (the emulator) and its atc, written into the package's _emulator folder.
execute_process(
  COMMAND ${Python_EXECUTABLE} -c
          "import importlib.util as u; print(u.find_spec('openvino').submodule_search_locations[0])"
  OUTPUT_VARIABLE openvino_package OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(OpenVINO_DIR ${openvino_package}/cmake)
find_package(OpenVINO REQUIRED COMPONENTS Runtime)

# What the runtime and the compiler share: the OM file, the graph's preparation, precision.
file(GLOB model_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/emulator/model/*.cc)
add_library(emulator_model STATIC ${model_sources})
target_link_libraries(emulator_model PUBLIC npuserve_flags openvino::runtime)

file(GLOB emulator_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/emulator/*.cc)
add_library(ascendcl SHARED ${emulator_sources})
target_link_libraries(ascendcl PRIVATE emulator_model)

file(GLOB atc_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/emulator/atc/*.cc)
add_executable(atc ${atc_sources})
target_link_libraries(atc PRIVATE emulator_model)

# At run time OpenVINO is found beside an installed package or, for an editable one, in its environment; never in the
# folder of an isolated build, which anyone may make anew.
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "import sysconfig; print(sysconfig.get_path('purelib'))"
  OUTPUT_VARIABLE site_packages OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set_target_properties(ascendcl atc PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${NPUSERVE_PACKAGE_DIR}/_emulator
  RUNTIME_OUTPUT_DIRECTORY ${NPUSERVE_PACKAGE_DIR}/_emulator
  BUILD_WITH_INSTALL_RPATH ON
  INSTALL_RPATH "$ORIGIN/../../openvino/libs;${site_packages}/openvino/libs")
