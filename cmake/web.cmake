# The front end: web/ is bundled by esbuild and embedded as PLUMBLINE_WEB_ASSETS, generated sources of the room case_report:
# the report's script and style, and the dashboard's files. Node.js 18 runs the build (tools/node18 finds or unpacks it); npm fetches what web/package-lock.json pins.
set(web ${PROJECT_SOURCE_DIR}/web)
set(node18 ${PROJECT_SOURCE_DIR}/tools/node18)
find_program(PLUMBLINE_NPM npm)
if(NOT PLUMBLINE_NPM)
  message(FATAL_ERROR "The report's front end needs npm. On Debian 12: apt-get install nodejs npm")
endif()
execute_process(COMMAND ${node18} --version OUTPUT_VARIABLE node_version ERROR_VARIABLE node_error RESULT_VARIABLE node_result
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_STRIP_TRAILING_WHITESPACE)
if(NOT node_result EQUAL 0)
  message(FATAL_ERROR "The report's front end needs Node.js 18 (18.19 or newer). ${node_error}")
endif()
message(STATUS "Node.js for the front end: ${node_version}")

add_custom_command(OUTPUT ${web}/node_modules/.package-lock.json
  COMMAND ${PLUMBLINE_NPM} ci --ignore-scripts --no-audit --no-fund --loglevel=error
  COMMAND ${CMAKE_COMMAND} -E touch ${web}/node_modules/.package-lock.json
  DEPENDS ${web}/package.json ${web}/package-lock.json ${web}/.npmrc
  WORKING_DIRECTORY ${web} COMMENT "Fetching the front end's packages" VERBATIM)

file(GLOB_RECURSE web_sources CONFIGURE_DEPENDS ${web}/src/*.ts ${web}/src/*.css ${web}/src/*.svg ${web}/src/*.html)
set(PLUMBLINE_WEB_ASSETS ${PROJECT_BINARY_DIR}/web/report_assets.cpp ${PROJECT_BINARY_DIR}/web/dashboard_assets.cpp)
add_custom_command(OUTPUT ${PLUMBLINE_WEB_ASSETS} ${PROJECT_BINARY_DIR}/web/report.js ${PROJECT_BINARY_DIR}/web/report.css
  COMMAND ${node18} ${web}/node_modules/typescript/bin/tsc --project ${web}/tsconfig.json
  COMMAND ${node18} ${web}/build.mjs ${PROJECT_BINARY_DIR}/web
  DEPENDS ${web_sources} ${web}/build.mjs ${web}/tsconfig.json ${web}/node_modules/.package-lock.json
  WORKING_DIRECTORY ${web} COMMENT "Bundling the front end" VERBATIM)
