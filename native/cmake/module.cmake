# The Python extension module and the generated protobuf code, written into the package folder.
execute_process(
  COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir
  OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(PYBIND11_FINDPYTHON ON)
find_package(pybind11 CONFIG REQUIRED)

file(GLOB binding_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/engine/bindings/*.cc)
pybind11_add_module(_engine MODULE ${binding_sources})
target_link_libraries(_engine PRIVATE npuserve_engine)
set_target_properties(_engine PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${NPUSERVE_PACKAGE_DIR})

file(GLOB proto_files CONFIGURE_DEPENDS ${REPOSITORY_DIR}/proto/*.proto)
set(proto_stamp ${CMAKE_BINARY_DIR}/proto.stamp)
add_custom_command(
  OUTPUT ${proto_stamp}
  COMMAND ${Python_EXECUTABLE} ${REPOSITORY_DIR}/proto/generate.py ${NPUSERVE_PACKAGE_DIR}/_proto
  COMMAND ${CMAKE_COMMAND} -E touch ${proto_stamp}
  DEPENDS ${proto_files} ${REPOSITORY_DIR}/proto/generate.py
  COMMENT "Generating protobuf code")
add_custom_target(proto ALL DEPENDS ${proto_stamp})
