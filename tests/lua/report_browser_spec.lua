--- Reports in a real browser: Chromium without a window. Skipped where there is none.
local json = require "sm.json"
local report = require "sm.report"
local runtime = require "sm.runtime"
local sha256 = require "sm.report.sha256"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

local browser = output_of("command -v chromium || command -v google-chrome"):match "[^\n]+"

-- One pixel each: black, white.
local pixel <const> = "\x89PNG\r\n\26\n\0\0\0\13IHDR\0\0\0\1\0\0\0\1\8\0\0\0\0\x3a\x7e\x9b\x55"
local pixels <const> = {
  pixel .. "\0\0\0\10IDAT\x78\x9c\x63\x60\0\0\0\2\0\1\x48\xaf\xa4\x71\0\0\0\0IEND\xae\x42\x60\x82",
  pixel .. "\0\0\0\10IDAT\x78\x9c\x63\xf8\x0f\0\1\1\1\0\x1b\xb6\xee\x56\0\0\0\0IEND\xae\x42\x60\x82",
}

local frame <const> = [[
<!DOCTYPE html><iframe src="page.html" style="width: %dpx; height: 900px; border: 0"></iframe><pre id="seen"></pre>
<script>onmessage = (event) => { document.querySelector("#seen").append(event.data + "\n"); };</script>
]]

describe("a report in a browser", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  --- Opens a page in a frame so wide, uses it (report_browser.js), and gives what was seen: name → value.
  --- @param seconds integer how long the page believes to be open
  --- @param user string|nil what uses it instead
  --- @param flags string|nil further words for the browser
  --- @return table, string the lines of the console
  local function open(page, width, seconds, user, flags)
    local path = workspace .. "/page.html"
    local script = tiny.read(user or "tests/lua/report_browser.js")
    page = page:gsub("script%-src ", ("script-src 'sha256-%s' "):format(runtime.io.base64(sha256(script))), 1)
    tiny.write(path, (page:gsub("</body>", function() return "<script>" .. script .. "</script></body>" end)))
    tiny.write(workspace .. "/frame.html", frame:format(width))
    local dom = output_of(([[cd '%s' && timeout 60 env -u LD_PRELOAD '%s' --headless --no-sandbox --disable-gpu \
      --user-data-dir='%s/profile' --disable-background-networking --disable-component-update --disable-sync \
      --no-first-run --host-resolver-rules='MAP * ~NOTFOUND' --window-size=1400,1000 --virtual-time-budget=%d \
      --enable-logging=stderr %s --dump-dom 'file://%s/frame.html' 2>'%s/errors']])
      :format(workspace, browser, workspace, 1000 * seconds, flags or "", workspace, workspace))
    local seen, said, errors = {}, {}, tiny.read(workspace .. "/errors")
    for line in (dom:match '<pre id="seen">(.-)</pre>' or ""):gmatch "[^\n]+" do
      local name, value = line:match "^(.-): (.*)$"
      seen[name] = value
    end
    for line in errors:gmatch "[^\n]*CONSOLE[^\n]*" do
      -- dygraphs 2.2 says of a chart that is zoomed into how many of its points are out of view
      if not line:find '"%d+ points out of [XY] bounds:' then said[#said + 1] = line end
    end
    assert.truthy(next(seen), errors)
    return seen, table.concat(said, "\n")
  end

  local function write_run(name, seed, given)
    given.values = given.values or {}
    given.columns = ",cap_share,mem_p10,mem_p50,gone,none"
    local rows = { "0,1,,,2.3,0.1,0.001,,,,,,\n" }
    for step = 100, 1000, 100 do
      rows[#rows + 1] = ("%d,1,%.4f,%.4f,%s,0.001,12.%d,0.%d,%d,%d,%d,0\n"):format(step, 200 / step + seed / 10,
        1 - 50 / step, step % 500 == 0 and ("%.4f,%.4f"):format(190 / step + seed / 10, 1 - 40 / step) or ",", seed,
        seed, step, 2 * step, step > 700 and 0 or step)
    end
    given.metrics = table.concat(rows)
    local path = tiny.write_run(workspace, name, seed, given)
    for i, step in ipairs(given.drawn or { 0, 500, 1000 }) do
      tiny.write(("%s/plots/filters-%06d.png"):format(path, step), pixels[i % 2 + 1])
    end
    return path
  end

  local function it_in_browser(name, test)
    it(name, function()
      if not browser then return pending "chromium is not installed" end
      test()
    end)
  end

  it_in_browser("draws its curves, shows its pictures and asks for nothing", function()
    local seen, said = open(report.page { write_run("e/a", 1, { accuracy = 0.9 }) }, 1280, 20)
    assert.equal("", said)
    assert.equal("2", seen["drawn while folded"])
    assert.equal("loss, accuracy, learning rate, milliseconds per step, cap share, mem, gone, none", seen.titles)
    assert.is_true(tonumber(seen["least colours of a chart"]) > 2)
    local whole = ("0-1000 "):rep(8):sub(1, -2)
    assert.equal(whole, seen["at first"])
    assert.equal("1000", seen["pictures at first"])
    assert.equal("500", seen["pictures at 1"])
    assert.equal("step 500", seen.spoken)
    assert.equal("true", seen["smoothing changes the curve"])
    assert.equal("true", seen["the axis changes the curve"])
    assert.equal(("logarithmic "):rep(7) .. "linear", seen.axes)
    assert.equal("train lossvalidation loss", seen["legend of a loss"])
    assert.equal("without 3 points at 0 or below", seen["legend of what ends at 0"])
    assert.equal("not logarithmic: nothing is above 0", seen["legend of nothing"])
    assert.equal("true", seen["and back"])
    assert.equal("step 1,000train loss 0.3validation loss 0.29", seen.legend)
    assert.equal(whole, seen["at large"])
    assert.matches("^1%d%d%-7%d%d ", seen.closer)
    assert.equal((seen.closer:match "^%S+" .. " "):rep(8):sub(1, -2), seen.closer)
    assert.equal("0", seen.resources)
    assert.equal("1", seen.visits)
  end)

  it_in_browser("may not ask for anything, and the test would know", function()
    local page = report.page { write_run("e/a", 1, { accuracy = 0.9 }) }
    local _, said = open(page:gsub("<main>", '<main><img alt="" src="http://192.0.2.1/picture.png">'), 1280, 2)
    assert.matches("Content Security Policy", said)
  end)

  -- Tells whether anything of a stranger's ran, was asked for or became an element.
  local watch <const> = [[
    addEventListener("load", () => setTimeout(() => {
      for (const link of document.querySelectorAll("a")) link.click();
      for (const button of document.querySelectorAll("form button")) button.click();
      setTimeout(() => parent.postMessage([
        "ran: " + (window.ran ?? "nothing"), "title: " + document.title,
        "asked for: " + performance.getEntriesByType("resource").map((entry) => entry.name).join(" "),
        "charts: " + charts.filter(({ graph }) => graph).length, "links: " + document.querySelectorAll("a").length,
        "elements: " + document.querySelectorAll("main :is(script, style, a, form, base, svg, [style*=url])").length,
        "pictures of others: " + document.querySelectorAll("img:not([src^='data:image/png'])").length,
        "styled: " + getComputedStyle(document.querySelector("h1")).backgroundImage,
        "place: " + location.href.replace(/.*\//, ""),
      ].join("\n"), "*"), 500);
    }, 500));
  ]]
  local hostile <const> = {
    "</script><script>ran = 'a script'</script>", "<img src=x onerror=\"ran = 'an attribute'\">",
    "'><a href=\"javascript:ran = 'a link'\">x</a>",
    "</style><style>h1 { background: url(http://192.0.2.1/x.png) }</style>",
    "</title><base href=\"http://192.0.2.1/\">",
    "</pre></textarea><form action=\"http://192.0.2.1/\"><button>x</button></form>", "<!--", "]]>", "&lt;b&gt;",
    "<div style=\"background: url(http://192.0.2.1/y.png)\">", "\"><svg onload=\"ran = 'svg'\">",
    "javascript:ran = 'a text'",
  }

  local function seen_by(page)
    tiny.write(workspace .. "/watch.js", watch)
    return open(page, 1280, 5, workspace .. "/watch.js")
  end

  it_in_browser("runs, asks for and shows nothing that a stranger's texts would like to be", function()
    local paths = {}
    for i, text in ipairs(hostile) do
      local quoted = json.quote(text)
      paths[i] = write_run("e/" .. i, i, { values = { note = quoted, [quoted:sub(2, -2)] = quoted }, accuracy = 0.9,
        source = "return '" .. text .. "'" })
      tiny.write(paths[i] .. "/environment.json", ('{"experiment": %s, "variant": %s, "smrun": %s, "processor": %s, '
        .. '"real": %s, "git": {"revision": %s}}'):format(quoted, quoted, quoted, quoted, quoted, quoted))
      tiny.write(paths[i] .. "/metrics.csv", (tiny.read(paths[i] .. "/metrics.csv")
        :gsub("cap_share", function() return (text:gsub("[,\n]", "")) end)))
    end
    for _, page in ipairs { report.page(paths), report.page { paths[1] }, report.page({ paths[2] }, { steps = 9,
      ended = { how = "stopped by an error", problem = table.concat(hostile) } }) } do
      local seen, said = seen_by(page)
      assert.equal("", said)
      assert.same({ "nothing", "", "0", "0", "0", "none", "page.html" }, { seen.ran, seen["asked for"], seen.links,
        seen.elements, seen["pictures of others"], seen.styled, seen.place })
      assert.is_true(tonumber(seen.charts) > 0)
    end
  end)

  it_in_browser("runs and asks for nothing of a stranger's, even if a text were markup", function()
    local page = report.page { write_run("e/a", 1, { accuracy = 0.9 }) }
    local seen, said = seen_by((page:gsub("<main>", function() return "<main>" .. table.concat(hostile, " ", 1, 6)
      .. table.concat(hostile, " ", 10, 11) end)))
    for _, directive in ipairs { "script%-src", "style%-src", "base%-uri", "form%-action", "img%-src" } do
      assert.matches("Content Security Policy directive[^\n]*" .. directive, said)
    end
    assert.same({ "nothing", "none", "page.html" }, { seen.ran, seen.styled, seen.place })
    assert.equal("1", seen.links) -- the markup is there
  end)

  local function page_of_a_run_that_goes_on()
    return report.page({ write_run("e/a", 1, { unfinished = true }) }, { steps = 2000 })
  end

  it_in_browser("follows a run that goes on, as the reader has set it", function()
    local seen, said = open(page_of_a_run_that_goes_on(), 1280, 8)
    assert.equal("", said)
    assert.equal("2", seen.visits)
    assert.equal("; it looks for news every 6 s until the run has ended, or half an hour has brought none.",
      seen.following)
    assert.equal(seen.closer, seen["after a reload"])
    assert.equal("500", seen["pictures after a reload"])
  end)

  it_in_browser("follows no longer when half an hour has brought no news", function()
    local page, count = page_of_a_run_that_goes_on():gsub('data%-until="(%d+)"', function(seconds)
        return ('data-until="%d"'):format(seconds - 30 * 60 - 1)
      end)
    assert.equal(1, count)
    local seen, said = open(page, 1280, 8)
    assert.equal("", said)
    assert.equal("1", seen.visits)
    assert.matches("^; half an hour has brought no news, and it looks for none any longer", seen.following)
  end)

  it_in_browser("shows settings as means with bands, on a narrow screen too", function()
    local paths = {}
    for groups = 1, 2 do
      for seed = 1, 2 do
        paths[#paths + 1] = write_run(("e/groups=%d,seed=%d"):format(groups, seed), seed, {
          values = {
            groups = groups, activation = ('"softmax_over_everything_%d"'):format(groups), note = '"</script><b>"',
          },
          accuracy = 0.9 + seed / 100, drawn = groups == 2 and { 0, 400, 1000 } or nil,
        })
      end
    end
    local labels = {}
    for groups = 1, 2 do
      labels[groups] = ("activation=softmax_over_everything_%d,groups=%d"):format(groups, groups)
    end
    local seen, said = open(report.page(paths), 400, 5)
    assert.equal("", said)
    assert.equal("1000 1000", seen["pictures at first"])
    assert.equal("0 400", seen["pictures at 1"]) -- the first has none at 400
    assert.equal(("%s, seed 1, step 0|%s, seed 1, step 400"):format(labels[1], labels[2]), seen.captions)
    assert.equal("setting " .. labels[1] .. " false", seen["what is kept of a setting"])
    assert.equal("moment filters", seen["key of a slider"])
    assert.equal("true", seen["hiding changes the curve"])
    assert.equal("false", seen["wider than the window"])
    assert.equal("8", seen.charts)
    assert.truthy(seen.legend:find(labels[2] .. " validation loss 0.34 ± 0.07071 (n = 2)", 1, true), seen.legend)
  end)

  local dark <const> = "--blink-settings=preferredColorScheme=0"

  local function write_two_settings()
    local paths = {}
    for groups = 1, 2 do
      for seed = 1, 2 do
        paths[#paths + 1] = write_run(("e/groups=%d,seed=%d"):format(groups, seed), seed + 2 * groups, {
          values = { groups = groups, note = '"' .. ("a long text "):rep(9) .. '"' }, accuracy = 0.9 + seed / 100,
        })
      end
    end
    return paths
  end

  it_in_browser("has the result first and the rest folded, for the keyboard too", function()
    local path = write_run("e/a", 1, { accuracy = 0.9 })
    tiny.write(path .. "/metrics.csv", (tiny.read(path .. "/metrics.csv"):gsub("gone", "mem_p90", 1)))
    local seen, said = open(report.page { path }, 1280, 20, "tests/lua/report_reader.js")
    assert.equal("", said)
    assert.is_nil(seen.problem)
    assert.equal("outcome curves pictures more settings source environment", seen.sections)
    assert.equal("true", seen["first seen"])
    assert.equal("Optimizer false, Other false", seen.folded)
    assert.equal("true", seen["headings reached"])
    assert.equal("3", seen["drawn when opened"])
    assert.equal("How large a step is, or may be.", seen.words)
    assert.equal("true", seen["chart reached"])
    assert.equal("step 1,000train loss 0.3validation loss 0.29", seen["at the end"])
    assert.matches("^step 500", seen["one before"]) -- of the line of the validation data
    assert.equal("250-750", seen.closer)
    assert.equal("0-1000", seen.wider)
    assert.equal("0-1000", seen.whole)
    assert.equal("false", seen["wider than the window"])
    assert.equal("", seen.beyond)
    assert.equal("solid", seen.focus)
  end)

  it_in_browser("shows the curves of a row alone, and the row of a curve", function()
    local seen, said = open(report.page(write_two_settings()), 1280, 20, "tests/lua/report_reader.js")
    assert.equal("", said)
    assert.is_nil(seen.problem)
    local one = "groups=2 faint, groups=2 faint, groups=1, groups=1"
    local all = "groups=1, groups=1, groups=2, groups=2"
    assert.equal("1, 1, 1; 3 pressed; " .. one, seen["picked by a row"]) -- in each table of settings
    assert.matches("^500 steps, .*: step 500groups=1 .*; true$", seen["a step of a table"])
    assert.equal("all curves (now groups=1)", seen["way back"])
    assert.equal("; 0 pressed; " .. all, seen["after Escape"])
    assert.equal("1, 1, 1; " .. one, seen["picked by a line"])
    assert.equal("2, 2, 2; groups=1 faint, groups=1 faint, groups=2, groups=2", seen["picked by a click on a line"])
    assert.equal('{"setting":1}', seen.kept)
    assert.equal("groups=1,seed=1; groups=1 faint, groups=1 faint, groups=2 faint, groups=2 faint, groups=10, "
      .. "groups=10", seen["picked by a run"])
    assert.equal("6", seen["lines with it"])
  end)

  it_in_browser("can be read in dark and light, on a wide and a narrow screen", function()
    local page = report.page(write_two_settings())
    for _, one in ipairs { { 1280, "rgb(255, 255, 255)" }, { 400, "rgb(20, 23, 27)", dark } } do
      local seen, said = open(page, one[1], 20, "tests/lua/report_reader.js", one[3])
      assert.equal("", said)
      assert.equal(one[2], seen.page)
      assert.is_true(tonumber(seen["least contrast"]:match "^%S+") >= 4.5, seen["least contrast"])
      assert.same({ "false", "", "true" }, { seen["wider than the window"], seen.beyond, seen["scrollers reached"] })
    end
  end)

  --- A run of so many rows, whose training loss is 99 at one step and -9 at another.
  local function write_long_run(name, seed, rows, values)
    local lines = {}
    for step = 1, rows do
      local loss = step == rows // 2 and 99 or step == rows // 2 + 7 and -9 or 1 + step % 7 / 10 + seed
      lines[step] = ("%d,1,%.9g,,%s,,0.001,%d\n"):format(step, loss, step % (rows // 20) == 0 and "0.5" or "", step % 9)
    end
    return tiny.write_run(workspace, name, seed, { values = values, metrics = table.concat(lines), accuracy = 0.9 })
  end

  -- By the real clock: two seconds on a machine that does nothing else, and here many times that.
  it_in_browser("has 100,000 rows of 19 columns on the screen soon", function()
    local names = { "cap_share", "mem_p10", "mem_p50", "mem_p90" }
    for i = 1, 7 do names[#names + 1] = "own_" .. i end
    local lines, cells = {}, ("0.123456789,"):rep(#names):sub(1, -2)
    for step = 1, 100000 do
      lines[step] = ("%d,1,%.9g,0.5,%s,0.001,4.5,%s\n"):format(step, math.random(),
        step % 10 == 0 and "0.5,0.5" or ",", cells)
    end
    local path = tiny.write_run(workspace, "e/a", 1, { accuracy = 0.9, columns = "," .. table.concat(names, ","),
      metrics = table.concat(lines) })
    local page, script = report.page { path }, [[
      document.body.dataset.drawn = charts.filter(({ graph }) => graph).length;
      document.body.dataset.after = performance.now();
      for (const figures of document.querySelectorAll("pre")) figures.remove();]]
    page = page:gsub("script%-src ", ("script-src 'sha256-%s' "):format(runtime.io.base64(sha256(script))), 1)
    tiny.write(workspace .. "/page.html", (page:gsub("</body>", function()
      return "<script>" .. script .. "</script></body>"
    end)))
    local dom = output_of(("timeout 60 env -u LD_PRELOAD '%s' --headless --no-sandbox --disable-gpu "
      .. "--user-data-dir='%s/profile' --no-first-run --window-size=1280,1000 --dump-dom 'file://%s/page.html' 2>&1")
      :format(browser, workspace, workspace))
    assert.equal("2", dom:match 'data%-drawn="(%d+)"')
    assert.is_true(tonumber(dom:match 'data%-after="([%d.]+)"') < 15000)
  end)

  it_in_browser("shows 100,000 rows: what stands out from afar, and each of them from near", function()
    local page = report.page { write_long_run("e/a", 1, 100000) }
    local seen, said = open(page, 1280, 20, "tests/lua/report_large.js")
    assert.equal("", said)
    assert.equal("1-100000", seen["steps at first"])
    assert.equal("-9 to 99", seen["figures at first"])
    assert.is_true(tonumber(seen["rows at first"]) < 10000, seen["rows at first"])
    assert.equal("49990-50020", seen["steps from near"])
    assert.equal("31", seen["rows from near"]) -- every one
    assert.equal("-9 to 99", seen["figures from near"])
    assert.equal("step 50,005train loss 2.4", seen.legend)
    assert.is_true(tonumber(seen["as transparent as a band"]) < 100) -- there is none around one seed
    assert.equal(seen["rows at first"], seen["rows at large again"])
  end)

  it_in_browser("writes whole steps below its charts, however few or many they are", function()
    local script = workspace .. "/look.js"
    tiny.write(script, [[addEventListener("load", () => {
      drawAll();
      const labels = [...document.querySelectorAll(".dygraph-axis-label-x")].map((label) => label.textContent);
      parent.postMessage("labels: " + labels.filter((label) => label).join(" "), "*");
    });]])
    for last, word in pairs { [2] = "1", [2000] = "1,000", [1 << 53] = "2e%+15" } do
      local path = tiny.write_run(workspace, "e/" .. last, 1, { accuracy = 0.9,
        metrics = ("1,1,0.5,0.5,0.4,0.9,0.1,3\n%d,1,0.4,0.5,0.4,0.9,0.1,3\n"):format(last) })
      local seen, said = open(report.page { path }, 1280, 5, script)
      assert.equal("", said)
      assert.truthy((" " .. seen.labels .. " "):find(" " .. word .. " "), seen.labels)
      assert.is_nil(seen.labels:find ".%..*,", seen.labels)
    end
  end)

  it_in_browser("shows 50 runs of 2,000 rows, as settings and as seeds", function()
    local settings, seeds = {}, {}
    for number = 1, 50 do
      settings[number] = write_long_run("e/groups=" .. number, 1, 2000, { groups = number })
      seeds[number] = write_long_run("f/seed=" .. number, number, 2000)
    end
    for count, paths in pairs { [50] = settings, [1] = seeds } do
      local seen, said = open(report.page(paths), 1280, 20, "tests/lua/report_large.js")
      assert.equal("", said)
      assert.equal("1-2000", seen["steps at first"])
      assert.equal(tostring(2 * count), seen.lines)
      assert.equal("990-1020", seen["steps from near"])
      assert.equal("31", seen["rows from near"])
      assert.equal(count == 1, tonumber(seen["as transparent as a band"]) > 1000)
    end
  end)
end)
