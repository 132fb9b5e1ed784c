local lfs = require "lfs"
local assets = require "sm.report.assets"
local curves = require "sm.report.curves"
local html = require "sm.report.html"
local progress = require "sm.study.progress"
local pictures = require "sm.report.pictures"
local report = require "sm.report"
local runtime = require "sm.runtime"
local sha256 = require "sm.report.sha256"
local tabulate = require "sm.study.tables"
local tiny = dofile "tests/lua/tiny_experiment.lua"
local helpers = dofile "tests/lua/helpers.lua"
local has = helpers.has

--- As much of a PNG as a page looks at, and a content to know it by.
local function png(content)
  return "\x89PNG\r\n\26\n\0\0\0\13IHDR" .. (">I4I4"):pack(3, 2) .. content
end

local function lacks(text, unwanted)
  assert.is_nil(text:find(unwanted, 1, true), "there is " .. unwanted)
end

--- The content of a section of the page.
local function section(page, id)
  local from = page:match(('<section id="%s">(.*)<script>'):format(id))
  return from:match "^(.-)<section id=" or from
end

describe("the markup of a report", function()
  it("keeps every text a text", function()
    local page = html.render(html.element("p", { title = [["'><b>]], hidden = true, lang = false },
      "</p><script>", nil, { "a & b", false, html.element("img", { alt = 1 }) }, html.raw "<i>"))
    assert.equal('<p hidden title="&quot;&#39;&gt;&lt;b&gt;">&lt;/p&gt;&lt;script&gt;a &amp; b<img alt="1"><i></p>',
      page)
  end)

  it("is UTF-8 without control characters, whatever the text", function()
    assert.equal("a\u{FFFD}b\u{FFFD}\u{FFFD}\t\n\u{FFFD}ü", html.escape "a\xffb\xc3\0\t\n\27ü")
    assert.truthy(utf8.len(html.escape(string.char(0xed, 0xa0, 0x80, 0xf5))))
    assert.equal("", html.escape "")
  end)

  it("shows what would turn a text about or hide in it", function()
    assert.equal([[a\u{202E}b\u{200B}c\u{9B}d\u{E0041}]], html.escape "a\u{202E}b\u{200B}c\u{9B}d\u{E0041}")
    assert.equal("für\n😀\n", html.escape "für\r😀\r\n") -- line ends, as a browser reads them
  end)

  it("allows its own script and style by what they are, and nothing else", function()
    local own = assets.get()
    assert.matches("^default%-src 'none'; script%-src 'sha256%-[%w+/]+='; style%-src 'sha256%-[%w+/]+='; "
      .. "img%-src data:; base%-uri 'none'; form%-action 'none'$", own.policy)
    for _, text in ipairs { own.script, own.style } do
      assert.is_nil(text:find "\r")
      assert.is_nil(text:lower():find "</s[ct][ry]") -- where a script or a style would end
    end
  end)

  it("has checksums by FIPS 180-4", function()
    local function digest(text)
      return (sha256(text):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
    end
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", digest "")
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", digest "abc")
    assert.equal("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      digest "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
    assert.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", digest(("a"):rep(1000000)))
    local file = os.tmpname()
    for size = 0, 130 do -- around the ends of blocks
      tiny.write(file, ("x"):rep(size))
      local pipe <close> = io.popen("sha256sum < " .. file)
      assert.equal(pipe:read "a":match "%x+", digest(("x"):rep(size)))
    end
    os.remove(file)
  end)

  it("is made in one walk, also of a text that is no text at all", function()
    local count <const> = 400000
    local began = os.clock()
    assert.equal(count * #"\u{FFFD}", #html.escape(("\xff"):rep(count)))
    assert.is_true(os.clock() - began < 3)
  end)
end)

describe("the curves of a report", function()
  --- The charts without their words.
  local function charts(runs)
    local list = curves.charts(runs)
    for _, chart in ipairs(list) do chart.words = nil end
    return list
  end

  local function of_columns(...)
    local row = {}
    for _, name in ipairs { ... } do row[name] = name ~= "empty" and 1 or nil end
    row.step = row.step or 1
    return { { columns = { ... }, progress = progress.of({ row }, { ... }) } }
  end

  it("put together what belongs together, in the file's order, and some under headings", function()
    assert.same({
      { title = "loss", columns = { "train_loss", "validation_loss" } },
      { title = "accuracy", columns = { "train_accuracy", "validation_accuracy" } },
      { title = "learning rate", columns = { "lr" }, heading = "Optimizer" },
      { title = "milliseconds per step", columns = { "step_ms" }, heading = "Other" },
      { title = "step rms", columns = { "step_rms" }, heading = "Optimizer" },
      { title = "cap share", columns = { "cap_share" }, heading = "Optimizer" },
      { title = "memory", columns = { "mem_p10", "mem_p50", "mem_p90" }, heading = "Optimizer" },
      { title = "roughness", columns = { "conv1_roughness", "conv2_roughness" }, heading = "Filters" },
      { title = "spread", columns = { "conv1_spread", "conv2_spread" }, heading = "Filters" },
      { title = "used", columns = { "conv1_used", "conv2_used" }, heading = "Filters" },
      { title = "test loss", columns = { "test_loss" }, heading = "Other" },
    }, charts(of_columns("step", "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
      "lr", "step_ms", "step_rms", "cap_share", "mem_p10", "mem_p50", "mem_p90", "conv1_roughness", "conv2_roughness",
      "conv1_spread", "conv2_spread", "conv1_used", "conv2_used", "test_loss", "empty")))
  end)

  it("have the columns of every run", function()
    assert.same({ { title = "train loss", columns = { "train_loss" } },
      { title = "x", columns = { "x" }, heading = "Other" } }, charts {
      { columns = { "step", "train_loss" }, progress = { last = { train_loss = 1 } } },
      { columns = { "step", "train_loss", "x" }, progress = { last = { x = 1 } } },
    })
  end)

  it("say what a column of the library's is, and nothing of a person's that is called alike", function()
    local function words(...)
      local found = {}
      for _, chart in ipairs(curves.charts(of_columns(...))) do
        found[#found + 1] = chart.columns[1] .. (chart.words[1] and "" or "?") .. (chart.heading or "")
      end
      return table.concat(found, " ")
    end
    assert.equal("critic_step_rmsOptimizer critic_cap_shareOptimizer critic_mem_p10Optimizer",
      words("critic_step_rms", "critic_cap_share", "critic_mem_p10", "critic_mem_p50", "critic_mem_p90"))
    assert.equal("critic_lrOptimizer critic_step_rmsOptimizer step_lr?Other",
      words("critic_lr", "critic_step_rms", "step_lr"))
    assert.equal("critic memory", curves.charts(of_columns("critic_cap_share", "critic_mem_p10", "critic_mem_p50",
      "critic_mem_p90"))[2].title)
    assert.equal("conv2_control8_entropyGroups conv2_control8_class_bitsGroups conv2_control8_ablationGroups",
      words("conv2_control8_entropy", "conv2_control8_class_bits", "conv2_control8_ablation"))
    assert.equal("gpu_used?Other word_entropy?Other validation_spread?", words("gpu_used", "word_entropy",
      "validation_spread"))
    local memory = curves.charts(of_columns("cap_share", "mem_p10", "mem_p50", "mem_p90"))[2]
    assert.equal(1, #memory.words) -- the same of all three
    has(memory.words[1].words, "10, 50 and 90 % of the weights")
  end)

  it("of a person's own metrics stand first, as many as leave the pictures in sight", function()
    local headings = {}
    for i, chart in ipairs(charts(of_columns("train_loss", "validation_loss", "validation_f1", "validation_recall",
      "validation_auc", "validation_bleu"))) do
      headings[i] = chart.title .. (chart.heading and " in " .. chart.heading or "")
    end
    assert.equal("loss, validation f1, validation recall, validation auc, validation bleu in Further metrics",
      table.concat(headings, ", "))
  end)
end)

describe("the curves of many settings", function()
  local function settings_of(count, text)
    local settings = {}
    for number = 1, count do
      settings[number] = { label = "lr=" .. number,
        runs = { { columns = { "step", "x" }, progress = progress.of({ { step = 1, x = 1 } }, { "x" }),
          text = text } } }
    end
    return html.render(curves.node(settings))
  end

  it("are those of the first, as many as a browser can bear", function()
    local page = settings_of(1001, "step,x\n1,1\n")
    has(page, "the curves of the first 1,000 of 1,001 settings")
    has(page, 'data-setting="999"')
    lacks(page, 'data-setting="1000"')
    lacks(settings_of(1000, "step,x\n1,1\n"), "of the first")
    has(settings_of(3, ("1"):rep(50 * 1024 ^ 2)), "the curves of the first 2 of 3 settings")
  end)
end)

describe("the pictures of a report", function()
  it("are thinned evenly, with the first and the last", function()
    local list = {}
    for i = 1, 41 do list[i] = i end
    assert.same(list, pictures.thin(list, 41))
    assert.same({ 1, 11, 21, 31, 41 }, pictures.thin(list, 5))
    assert.same({ 1, 41 }, pictures.thin(list, 2))
    assert.same({ 41 }, pictures.thin(list, 1))
    local chosen = pictures.thin(list, 25)
    assert.same({ 25, 1, 41 }, { #chosen, chosen[1], chosen[25] })
  end)

  --- Pictures of so many bytes, as far as their record says, at some steps.
  local function moments(bytes, ...)
    local list = {}
    for i, step in ipairs { ... } do
      list[i] = { step = step, run = "/dev", name = "null", bytes = bytes, width = 1, height = 1 }
    end
    return list
  end

  local function shown_steps(page)
    local figures = {}
    for figure in page:gmatch "<figure>(.-)</figure>" do
      local steps = {}
      for step in figure:gmatch 'data%-step="(%d+)"' do steps[#steps + 1] = step end
      figures[#figures + 1] = table.concat(steps, " ")
    end
    return figures
  end

  it("are of the same steps in every run, and say of which", function()
    local every, odd = {}, {}
    for step = 0, 60 do
      every[#every + 1] = step
      if step <= 40 and step % 20 == 1 then odd[#odd + 1] = step end
    end
    local page = html.render(pictures.node {
      { label = "a", pictures = { p = moments(1, table.unpack(every)) } },
      { label = "b", pictures = { p = moments(1, table.unpack(every, 1, 51)) } },
      { label = "c", pictures = { p = moments(1, table.unpack(odd)) } },
    })
    local steps = page:match 'data%-steps="([^"]*)"'
    local _, count = steps:gsub("%d+", "")
    assert.equal(25, count)
    local a, b, c = table.unpack(shown_steps(page))
    assert.equal(steps, a)
    assert.equal(steps:match "^(.-50) ", b)
    assert.equal("1 21", c) -- neither is among the 25, but what the run shows at one that is
    has(page, '<figcaption>a, <span class="at">step 60</span></figcaption>')
    has(page, '<figcaption>b, <span class="at">step 50</span></figcaption>')
    has(page, '<figcaption>c, <span class="at">step 21</span></figcaption>')
  end)

  it("are fewer where they are large, and left out where there is no room", function()
    local megabyte <const> = 1024 ^ 2
    local page = html.render(pictures.node {
      { label = "a", pictures = { p = moments(2 * megabyte, 0, 1, 2, 3, 4, 5, 6, 7, 8) } },
      { label = "b", pictures = { p = moments(2 * megabyte, 0, 1, 2, 3, 4, 5, 6, 7, 8) } },
    })
    assert.same({ "0 2 3 5 6 8", "0 2 3 5 6 8" }, shown_steps(page))
    has(page, "Of up to 9 moments of each picture, this page keeps 6, evenly over training, the first and the last "
      .. "among them.")
    lacks(page, "left out")
    page = html.render(pictures.node {
      { label = "a", pictures = { p = moments(10 * megabyte, 0, 1), q = moments(30 * megabyte, 1) } },
      { label = "b", pictures = { p = moments(10 * megabyte, 0, 1) } },
      { label = "c", pictures = { p = moments(10 * megabyte, 0, 1), r = moments(4 * megabyte, 1) } },
    })
    assert.same({ "1", "1", "1" }, shown_steps(page))
    has(page, "Of up to 2 moments of each picture, this page keeps the last.")
    has(page, "2 pictures are left out: all together would be larger than 24 MB.")
    lacks(page, "<h3>q</h3>")
    has(page, "<h3>r</h3>")
  end)
end)

describe("a report", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function write_run(name, seed, given)
    return tiny.write_run(workspace, name, seed, given)
  end

  local function write_pictures(path, name, ...)
    for _, step in ipairs { ... } do
      tiny.write(("%s/plots/%s-%06d.png"):format(path, name, step), png(name .. step))
    end
  end

  it("about one run has everything in order", function()
    local path = write_run("e/lr=0.5", 3, {
      values = { lr = 0.5 }, accuracy = 0.9876, source = "-- a < b\nreturn 1", revision = "abcdef",
      columns = ",cap_share", metrics = "0,1,,,2.3,0.1,0.5,,\n30,1,0.5,0.9,0.4,0.95,0.5,12.5,0.25\n40,1,0.5",
    })
    write_pictures(path, "filters-conv1", 0, 30)
    local page = report.page { path }
    local at = 0
    for _, id in ipairs { "outcome", "curves", "pictures", "more", "settings", "source", "environment" } do
      local place = page:find('<section id="' .. id .. '">', 1, true)
      assert.truthy(place and place > at, id)
      at = place
    end
    has(page, "<h1>e <span>lr=0.5</span></h1><p class=\"headline\">test accuracy 98.76 % after 30 steps in 2.0 s</p>")
    has(section(page, "curves"), 'data-columns="train_loss,validation_loss"')
    has(section(page, "more"), 'data-columns="cap_share"')
    lacks(section(page, "curves"), 'data-columns="cap_share"')
    lacks(section(page, "more"), "<details open")
    has(section(page, "outcome"), '<dt>test accuracy</dt><dd>98.76 %</dd><dd class="note">of one seed</dd>')
    has(section(page, "outcome"), "<dt>steps</dt><dd>30</dd>")
    has(section(page, "outcome"), "<code>smrun e.lua lr=0.5 seed=3</code>")
    has(section(page, "curves"), ">\nstep,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,"
      .. "step_ms,cap_share\n0,1,,,2.3,0.1,0.5,,\n30,1,0.5,0.9,0.4,0.95,0.5,12.5,0.25\n</pre>")
    has(section(page, "settings"), "<td>lr</td><td>0.5</td>")
    has(section(page, "outcome"), '<td>test accuracy</td><td class="figure">98.76 %</td>')
    has(section(page, "pictures"), 'data-steps="0 30"')
    has(section(page, "pictures"), ('alt="filters-conv1 at step 0" data-step="0" decoding="sync" height="2" hidden '
      .. 'src="data:image/png;base64,%s" width="3"'):format(runtime.io.base64(png "filters-conv10")))
    has(section(page, "pictures"), 'alt="filters-conv1 at step 30" data-step="30" decoding="sync" height="2" src=')
    has(section(page, "source"), "<code>-- a &lt; b\nreturn 1</code>")
    has(section(page, "environment"), "<td>git revision</td><td>abcdef</td>")
    has(section(page, "outcome"), '<td class="figure">30</td><td class="note words">changes of the weights')
    lacks(page, "data-reload")
    lacks(page, "sourceMappingURL")
    has(page, "default-src &#39;none&#39;")
  end)

  it("says of a revision whether files had changed since, and where that is not known", function()
    for dirty, words in pairs { ["false"] = "", ["true"] = ", with changes", null = ", perhaps with changes" } do
      local path = write_run("e/" .. dirty, 1, { accuracy = 0.5, revision = "abcdef", dirty = dirty })
      has(section(report.page { path }, "environment"), ("<td>git revision</td><td>abcdef%s</td>"):format(words))
    end
  end)

  it("holds pictures alone, and none through a link", function()
    local path = write_run("e/a", 1, { metrics = "30,1,,,2.3,0.1,0.5,\n", accuracy = 0.5 })
    write_pictures(path, "p", 30)
    tiny.write(path .. "/plots/text-000030.png", "a secret")
    tiny.write(workspace .. "/elsewhere.png", png "a secret")
    lfs.link(workspace .. "/elsewhere.png", path .. "/plots/link-000030.png", true)
    local page = report.page { path }
    lacks(page, "text at step")
    lacks(page, "link at step")
    assert.equal(1, select(2, page:gsub("<img ", "")))
    os.execute(("mv '%s/plots' '%s/plots' && ln -s '%s/plots' '%s/plots'"):format(path, workspace, workspace, path))
    lacks(report.page { path }, "<img ")
  end)

  it("asks for nothing: it names no file but what it holds", function()
    local page = report.page { write_run("e/a", 1, { accuracy = 0.5, metrics = "0,1,,,2.3,0.1,0.5,\n" }) }
    for attribute, value in page:gsub("<script>.-</script>", ""):gmatch '(%l+)="([^"]*)"' do
      if attribute == "src" or attribute == "href" then assert.matches("^data:", value) end
    end
    lacks(page, "@import")
    lacks(page, "url(")
  end)

  it("stays a page, whatever a stranger's files say", function()
    local evil = "</pre></script></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\xff\0"
    local path = write_run("e/<b>&\"x", 1, {
      values = { note = '"<script>alert(2)</script>"' }, source = evil, columns = ",<script>alert(3)</script>",
      metrics = "0,1,,,2.3,0.1,0.5,,\n1,1,,,2.3,0.1,0.5,3,7\n",
      accuracy = 0.5,
    })
    tiny.write(path .. "/environment.json", [[{"processor": "<script>alert(4)</script>", "git": {"revision": "<i>"}}]])
    write_pictures(path, "\"><script>alert(5)<", 0)
    write_run("e/broken <u>", 2, {})
    tiny.write(workspace .. "/e/broken <u>/params.json", "<u>")
    local page = report.page { path, workspace .. "/e/broken <u>" }
    assert.truthy(utf8.len(page))
    local scripts = 0
    for _ in page:gmatch "<[sS][cC][rR][iI][pP][tT]" do scripts = scripts + 1 end
    assert.equal(1, scripts)
    for _, name in ipairs { "alert%(", "onerror" } do
      for before in page:gmatch("(......)" .. name) do assert.is_nil(before:find("<script", 1, true)) end
    end
    page = page:gsub("<script>.-</script>", "")
    lacks(page, "<img src=x")
    lacks(page, "<u>")
    lacks(page, "<i>")
    lacks(page, "<b>")
    has(page, "&lt;/pre&gt;&lt;/script&gt;")
    has(page, 'data-columns="&lt;script&gt;alert(3)&lt;/script&gt;"')
  end)

  local function write_sweep()
    for groups = 1, 2 do
      for seed = 1, 2 do
        local path = write_run(("e/groups=%d,seed=%d"):format(groups, seed), seed, {
          values = { groups = groups, lr = 0.1 }, accuracy = 0.9 + groups / 100 + seed / 1000,
          validation = ('"validation_accuracy": %.9g'):format(0.9 - groups / 100),
          metrics = "0,1,,,2.3,0.1,0.5,\n30,1,0.5,0.9,0.4,0.95,0.5,12.5\n",
        })
        write_pictures(path, "p", 0, 30)
      end
    end
    local paths = {}
    for _, name in ipairs(tiny.list(workspace .. "/e")) do paths[#paths + 1] = workspace .. "/e/" .. name end
    return paths
  end

  it("about several runs has their settings, seeds and tables", function()
    local paths = write_sweep()
    local page = report.page(paths)
    has(page, "<h1>e <span>4 runs</span></h1>")
    has(page, "best of 2 settings by validation accuracy: groups=1, test accuracy 91.15 ± 0.07 % (2 seeds)"
      .. "; not told apart from groups=2</p>")
    local _, figures = page:gsub('<pre class="metrics" data%-setting="[01]"', "")
    assert.equal(4, figures)
    has(page, 'data-label="groups=1"')
    has(page, "± one standard deviation")
    has(section(page, "settings"), '</span>2</button></td><td>1, 2</td><td>finished</td>')
    has(section(page, "environment"), "<td>groups=1,seed=2</td>")
    has(section(page, "outcome"), "<dt>test accuracy</dt><dd>91.15 ± 0.07 %</dd><dd class=\"note\">of groups=1, "
      .. "chosen by validation accuracy; mean ± standard deviation of 2 seeds; "
      .. "95 % interval of the mean 90.51 % to 91.79 %</dd>")
    has(section(page, "outcome"), "<code>smrun e.lua groups=1,2 lr=0.1 seed=1,2</code>")
    has(section(page, "settings"), "<summary>1 parameter is the same in all</summary>")
    has(section(page, "settings"), "<td>lr</td><td>0.1</td>")
    local comparison = require "sm.study.compare".runs(paths)
    for _, one in ipairs(tabulate.tables(comparison)) do
      has(page, html.escape(one.title))
      for _, row in ipairs(one.rows) do
        for i, cell in ipairs(row) do
          local linked = i == 1 and row.setting or row.steps and row.steps[i]
          local after = linked and "</button></td>" or "</t"
          has(section(page, "outcome"), ">" .. html.escape(cell) .. after)
        end
      end
    end
    has(section(page, "pictures"), 'groups=2, seed 1, <span class="at">step 30</span></figcaption>')
    lacks(section(page, "pictures"), "seed 2, <span")
    has(section(page, "pictures"), "the pictures are those of the first")
  end)

  it("gives the mean over seeds an interval, where seeds differ and there is more than one", function()
    for seed = 1, 2 do write_run("e/seed=" .. seed, seed, { accuracy = 0.97 }) end
    local paths = { workspace .. "/e/seed=1", workspace .. "/e/seed=2" }
    has(report.page(paths), "<dd>97.00 ± 0.00 %</dd><dd class=\"note\">mean ± standard deviation of 2 seeds; no "
      .. "interval, since the seeds do not differ</dd>")
    has(report.page { paths[1] }, "<dd class=\"note\">of one seed</dd>")
  end)

  it("says which command makes its runs again, or which commands", function()
    local function code_of(runs)
      local paths = {}
      for i, run in ipairs(runs) do
        paths[i] = write_run("e/" .. i, run[1], { values = run[2], accuracy = 0.9 })
      end
      return (section(report.page(paths), "outcome"):match "<code>(.-)</code>":gsub("&#39;", "'"))
    end
    assert.equal("smrun e.lua seed=1", code_of { { 1 } })
    assert.equal([[smrun e.lua 'note=a\,b c' 'range=1.\.3' seed=7]],
      code_of { { 7, { note = '"a,b c"', range = '"1..3"' } } })
    assert.equal("smrun e.lua lr=0.5,1,10 seed=1", code_of { { 1, { lr = 10 } }, { 1, { lr = 0.5 } },
      { 1, { lr = 1 } } })
    -- Not every combination was run: one command would make more.
    assert.equal("smrun e.lua lr=1 seed=1\nsmrun e.lua lr=2 seed=2", code_of { { 1, { lr = 1 } }, { 2, { lr = 2 } } })
  end)

  it("gives no command in which a word of a stranger's run is an option", function()
    local path = write_run("-o", 1, { accuracy = 0.9 })
    for about, expected in pairs {
      ['"file": "-e"'] = "smrun ./-e seed=1",
      ['"continued": {"run": "--trust", "step": 1, "checksum": "0"}'] = "smrun resume ./--trust seed=1",
    } do
      tiny.write(path .. "/environment.json", ("{%s}"):format(about))
      has(report.page { path }, ("<code>%s</code>"):format(expected))
    end
    tiny.write(path .. "/params.json", '{"values": {"x\\nid": 1}, "defaults": {}}')
    lacks(report.page { path }, "Made again by")
  end)

  it("says which runs are unfinished or cannot be read", function()
    local paths = write_sweep()
    os.remove(paths[1] .. "/summary.json")
    os.remove(paths[2] .. "/summary.json")
    tiny.write(paths[4] .. "/metrics.csv", "nothing")
    local page = report.page(paths)
    has(page, "<span>1 of 3 runs finished</span>")
    has(page, "so far 1 of 2 settings: test accuracy")
    lacks(page, "data-reload") -- nobody writes this page again
    has(section(page, "outcome"), "expected a header that begins with")
    has(section(page, "settings"), "seed 1 is unfinished, at step 30; seed 2 is unfinished, at step 30</td>")
    has(section(page, "outcome"), "unfinished, nothing saved yet")
    for _, path in ipairs(paths) do os.remove(path .. "/summary.json") end
    page = report.page(paths)
    has(page, "no run is finished yet")
    has(section(page, "outcome"), "expected a header that begins with")
    for _, path in ipairs(paths) do os.remove(path .. "/metrics.csv") end
    assert.error_matches(function() report.page(paths) end, "no run can be read; .*groups=1,seed=1.*metrics.csv")
  end)

  it("leaves out pictures of steps that a resumed run has yet to do again, and thins many", function()
    local path = write_run("e/a", 1, { metrics = "40,1,,,2.3,0.1,0.5,\n", unfinished = true })
    local steps = {}
    for step = 0, 60 do steps[#steps + 1] = step end
    write_pictures(path, "p", table.unpack(steps))
    local page = report.page { path }
    local _, frames = page:gsub("<img ", "")
    assert.equal(25, frames)
    has(page, 'data-step="0"')
    has(page, 'data-step="40"')
    lacks(page, 'data-step="41"')
    has(page, "Of up to 41 moments of each picture, this page keeps 25")
  end)

  it("is written during training, and again at the end", function()
    assert.equal(137, select(2, tiny.stopped { workspace = workspace, at = "picture 3", arguments = "tiny.lua" }))
    local path = workspace .. "/runs/tiny/default"
    local page = tiny.read(path .. "/report.html")
    has(page, "data-reload=\"5\"")
    has(page, "at step 4 of 12")
    lacks(report.page { path }, "data-reload")
    local printed, result = tiny.run(workspace)
    has(printed, "report     " .. path .. "/report.html")
    page = tiny.read(path .. "/report.html")
    lacks(page, "data-reload=")
    has(page, ("test accuracy %.2f %%"):format(100 * result.summary.test_accuracy))
    has(page, 'data-steps="0 4 8 12"')
  end)

  it("takes no more of a run's time than a twentieth", function()
    local write, count = report.write, 0
    report.write = function(...)
      count = count + 1
      local began = runtime.system.now()
      while runtime.system.now() - began < 0.05 do end
      return write(...)
    end
    local ok, problem = pcall(tiny.run, workspace, { steps = 300, evaluate = 1, log = 1, checkpoint = 300 })
    report.write = write
    assert.is_true(ok, problem)
    assert.is_true(count >= 2 and count < 60, count .. " pages for 300 evaluations")
    has(tiny.read(workspace .. "/runs/tiny/checkpoint=300,evaluate=1,log=1,steps=300/report.html"), "after 300 steps")
  end)

  it("says that its run was interrupted, or ended with an error, and does not follow it then", function()
    local command = ("'%s/tiny.lua' --runs '%s/runs'"):format(workspace, workspace)
    local _, code = tiny.stopped { workspace = workspace, at = "loss 7", arguments = command, signal = "TERM" }
    assert.equal(130, code)
    local path = workspace .. "/runs/tiny/default"
    local page = tiny.read(path .. "/report.html")
    lacks(page, "data-reload")
    has(page, "; interrupted</p>")
    has(section(page, "outcome"), "it was interrupted.")
    _, code = tiny.smrun(command .. " blow_up=9")
    assert.equal(1, code)
    page = tiny.read(workspace .. "/runs/tiny/blow_up=9/report.html")
    lacks(page, "data-reload")
    has(page, "; stopped by an error</p>")
    assert.matches("it was stopped by an error.*step %d+: the loss.* is inf", section(page, "outcome"))
  end)

  it("that cannot be written stops no run", function()
    local output, code = tiny.smrun(("'%s/tiny.lua' --runs '%s/runs'"):format(workspace, workspace),
      "SM_DYGRAPHS=/nowhere")
    assert.equal(0, code, output)
    local _, times = output:gsub("the report could not be written, and the run goes on", "")
    assert.equal(1, times, output)
    has(output, "install the package libjs-dygraphs")
    local path = workspace .. "/runs/tiny/default"
    has(tiny.read(path .. "/log.txt"), "the report could not be written")
    assert.is_nil(lfs.attributes(path .. "/report.html"))
    output, code = tiny.smrun(("report '%s'"):format(path), "SM_DYGRAPHS=/nowhere")
    assert.equal(1, code)
    has(output, "there is no /nowhere/dygraph.min.css, which draws the curves of a report: install the package "
      .. "libjs-dygraphs")
  end)

  it("is a command", function()
    local paths = write_sweep()
    local output, code = tiny.smrun(("report '%s'"):format(paths[1]))
    assert.same({ 0, paths[1] .. "/report.html\n" }, { code, output })
    has(tiny.read(paths[1] .. "/report.html"), "<span>groups=1,seed=1</span>")
    output, code = tiny.smrun(("report '%s/e/'"):format(workspace))
    assert.same({ 0, workspace .. "/e/report.html\n" }, { code, output })
    has(tiny.read(workspace .. "/e/report.html"), "<span>4 runs</span>")
    output, code = tiny.smrun(("report '%s' '%s' --out '%s/x.html'"):format(paths[1], paths[3], workspace))
    assert.same({ 0, workspace .. "/x.html\n" }, { code, output })
    has(tiny.read(workspace .. "/x.html"), "<span>2 runs</span>")
    output, code = tiny.smrun(("report '%s' --out '%s/no/x.html'"):format(paths[1], workspace))
    assert.equal(1, code)
    has(output, "/no/")
    output, code = tiny.smrun(("report '%s' --out -"):format(paths[1]))
    assert.same({ 0, "<!DOCTYPE html>", "</html>\n" }, { code, output:sub(1, 15), output:sub(-8) })
    output, code = tiny.smrun(("report '%s/e/c'"):format(workspace))
    assert.same({ 2, "smrun: no such run directory '" .. workspace .. "/e/c'" }, { code, output:match "^[^;\n]*" })
  end)

  it("lies in the directory that the runs share", function()
    assert.equal("runs/e", report.shared_directory { "runs/e/a", "runs/e/ab" })
    assert.equal("runs", report.shared_directory { "runs/e/a", "runs/f/a", "runs/e/b" })
    assert.equal("/x", report.shared_directory { "/x/e/a", "/x/f" })
    assert.equal("runs/e/a", report.shared_directory { "runs/e/a" })
    assert.equal(".", report.shared_directory { "a", "b" })
  end)
end)
