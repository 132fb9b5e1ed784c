--- What environment.json says of a repository, against what git says, and of repositories that nobody should trust.
local lfs = require "lfs"
local revision = require "sm.experiment.revision"
local helpers = dofile "tests/lua/helpers.lua"
local tiny = dofile "tests/lua/tiny_experiment.lua"
local read, write = helpers.read, helpers.write

local git <const> = "GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b "
  .. "GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b "

local top, work

local function sh(format, ...)
  assert(os.execute(("cd '%s' && { %s; } >/dev/null 2>&1"):format(work, format:format(...))), format)
end

local function output(command)
  local pipe <close> = io.popen(("cd '%s' && %s%s"):format(work, git, command))
  return pipe:read "a":match "^(.-)%s*$"
end

--- A repository with one commit, whose files are older than its index.
local function repository(options)
  sh("%s git init -q -b main %s .", git, options or "")
  sh "echo 1 >a; mkdir -p d/e; echo 2 >d/b; echo 3 >d/e/c; ln -s a l; echo 4 >x; chmod +x x"
  sh "touch -d '1 day ago' a d/b"
  sh("%s git add .; %s git commit -qm one", git, git)
end

--- What is said of a file, which must agree with git's answer where it is one.
local function of(path)
  local found = revision.of(work .. "/" .. (path or "a"))
  assert.equal(output "git rev-parse HEAD", found.revision)
  if found.dirty ~= nil then assert.equal(output "git status --porcelain -uno" ~= "", found.dirty) end
  return found.dirty
end

before_each(function()
  top = os.tmpname()
  os.remove(top)
  assert(lfs.mkdir(top))
  work = top .. "/work"
  assert(lfs.mkdir(work))
end)
after_each(function() tiny.remove(top) end)

local has_git <const> = os.execute "git --version >/dev/null 2>&1"

local function with_git(name, f)
  it(name, has_git and f or function() pending "there is no git" end)
end

describe("the revision of a file", function()
  with_git("is that of the repository around it", function()
    assert.is_nil(revision.of(work .. "/a"))
    sh("%s git init -q .", git)
    assert.is_nil(revision.of(work .. "/a")) -- no commit
    repository()
    assert.is_false(of())
    assert.is_false(of "d/e/c")
    assert.is_false(of "not-there")
  end)

  with_git("is found through refs of every kind", function()
    repository()
    sh("%s git pack-refs --all", git)
    assert.is_nil(lfs.attributes(work .. "/.git/refs/heads/main"))
    assert.is_false(of())
    sh("echo 5 >a; %s git commit -qam two", git) -- a loose one before a packed one
    assert.is_false(of())
    sh("%s git checkout -q -b 'feature/x.y'", git)
    assert.is_false(of())
    sh("%s git checkout -q --detach", git)
    assert.is_false(of())
    sh("%s git symbolic-ref refs/heads/one refs/heads/main; %s git symbolic-ref HEAD refs/heads/one", git, git)
    of()
    sh("%s git symbolic-ref refs/heads/one refs/heads/one", git)
    assert.is_nil(revision.of(work .. "/a"))
  end)

  with_git("is found in other work trees and in modules", function()
    repository()
    sh("%s git worktree add -q ../other -b other", git)
    local first = work
    work = top .. "/other"
    sh("echo 6 >a; %s git commit -qam two", git)
    assert.is_false(of())
    sh "echo 77 >a"
    assert.is_true(of())
    assert.not_equal(revision.of(first .. "/a").revision, revision.of(work .. "/a").revision)
    sh("%s git -c protocol.file.allow=always submodule add -q '%s' inner; %s git commit -qam three", git, first, git)
    sh "echo 1 >a"
    work = top .. "/other/inner"
    assert.is_false(of())
  end)

  for _, version in ipairs { 2, 3, 4 } do
    with_git(("is told with an index of version %d"):format(version), function()
      repository()
      sh("for i in 1 2 3 4 5 6 7 8 9; do echo $i >d/name$i; done; echo >d/%s; touch -d '1 day ago' d/*", ("n"):rep(200))
      sh("%s git add .; %s git update-index --index-version %d; %s git commit -qm two", git, git, version, git)
      if version == 3 then sh("echo 8 >d/later; %s git add -N d/later", git) else assert.is_false(of()) end
      sh "rm d/name5"
      assert.is_true(of())
    end)
  end

  with_git("is told in a repository of SHA-256", function()
    if not os.execute(("cd '%s' && %s git init -q --object-format=sha256 . 2>/dev/null"):format(work, git)) then
      return pending "this git is too old"
    end
    repository()
    assert.equal(64, #revision.of(work .. "/a").revision)
    assert.is_false(of())
    sh "echo longer >>a"
    assert.is_true(of())
  end)
end)

describe("a repository is dirty", function()
  local changes <const> = {
    ["where a file has another size"] = "echo more >>d/e/c", ["where a file has another content"] = "echo 9 >a",
    ["where a file is missing"] = "rm d/e/c", ["where a directory is missing"] = "rm -r d",
    ["where a file became a link"] = "rm a; ln -s d/b a", ["where a link became a file"] = "rm l; echo 1 >l",
    ["where a link leads elsewhere"] = "rm l; ln -s x l", ["where a file became a directory"] = "rm a; mkdir a",
    ["where a file may be run"] = "chmod +x a", ["where a program may not be run"] = "chmod -x x",
    ["where a directory became a link"] = "mv d moved; ln -s moved d",
    ["where a file became a pipe"] = "rm a; mkfifo a",
    ["where something was staged"] = "echo 9 >a; git add a", ["where a new file was staged"] = "echo 9 >n; git add n",
    ["where a file was taken out"] = "git rm -q --cached a", ["where a file will be added"] = "echo 9 >n; git add -N n",
  }
  for name, change in pairs(changes) do
    with_git(name, function()
      repository()
      assert.is_false(of())
      sh("export %s; %s", git, change)
      assert.is_true(of "x")
    end)
  end

  local others <const> = {
    ["where a file was touched"] = "touch a d/b", ["where files are not tracked"] = "echo 9 >n",
    ["where a file was changed and changed back"] = "echo 9 >a; echo 1 >a",
    ["where all was committed"] = "echo 9 >a; git commit -qam two",
    ["where git does not look"] =
      "git update-index --assume-unchanged a; git commit -q --allow-empty -m two; echo 9 >a",
    ["where it is another's copy"] = "mkdir ../copy; cp -r . ../copy/; rm -r .git; mv ../copy/.git .",
    ["where lines end otherwise"] = "git config core.autocrlf true; rm a; git checkout -q a; touch a",
  }
  for name, change in pairs(others) do
    with_git("not " .. name, function()
      repository()
      sh("export %s; %s", git, change)
      assert.is_false(of "x")
    end)
  end

  with_git("or not known, where contents are filtered", function()
    repository()
    sh("echo 'a filter=f' >.gitattributes; %s git add .; %s git -c filter.f.clean=cat commit -qm two", git, git)
    sh "echo 9 >a"
    assert.is_nil(revision.of(work .. "/a").dirty)
  end)
end)

describe("a stranger's repository", function()
  with_git("runs nothing", function()
    repository()
    local mark = top .. "/mark"
    local run = ("touch '%s'; cat"):format(mark)
    for _, name in ipairs { "core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.gitProxy",
      "filter.f.clean", "filter.f.smudge", "filter.f.process", "diff.f.textconv", "diff.f.command", "diff.external",
      "credential.helper", "alias.status", "gpg.program", "uploadpack.packObjectsHook", "remote.origin.uploadpack" } do
      sh("git config %s %s", name, helpers.quote(run))
    end
    sh("git config extensions.partialClone origin; git config remote.origin.promisor true")
    sh("git config include.path '%s/pipe'; mkfifo '%s/pipe'", top, top)
    sh("echo '* filter=f diff=f' >.gitattributes; rm -rf .git/objects; mkdir .git/objects")
    sh("printf '#!/bin/sh\\ntouch %s\\n' >.git/hooks/post-index-change; chmod +x .git/hooks/post-index-change", mark)
    sh "echo 9 >a; touch d/b"
    write(work .. "/tiny.lua", tiny.text)
    local code, said = helpers.shell(work, ("timeout 60 $SMRUN tiny.lua steps=2 --runs '%s/runs'"):format(top))
    assert.equal(0, code, said)
    assert.is_nil(lfs.attributes(mark))
    helpers.has(read(top .. "/runs/tiny/steps=2/environment.json"), '"revision"')
  end)

  --- Whatever is said, nothing is raised, waited for, or told of what is elsewhere.
  local function harmless()
    local found = revision.of(work .. "/a")
    if not found then return nil end
    assert.truthy(found.revision:find "^%x+$")
    return found
  end

  with_git("may have anything in the place of its files", function()
    repository()
    sh "cp -r .git ../git"
    local secret = ("1"):rep(40)
    write(top .. "/secret", secret .. "\n")
    for _, name in ipairs { "HEAD", "index", "packed-refs", "refs/heads/main", "refs/heads", "refs", "config",
      "info/attributes", "commondir" } do
      for _, make in ipairs { "mkfifo '%s'", "mkdir '%s'", "ln -s /dev/zero '%s'", "ln -s ../../secret '%s'",
        "ln -s '" .. top .. "/secret' '%s'", "true '%s'", ": >'%s'", "truncate -s 1T '%s'", "ln -s . '%s'" } do
        sh("rm -rf .git; cp -r ../git .git; rm -rf '.git/%s'; %s", name, make:format(".git/" .. name))
        local found = harmless()
        assert.is_true(not found or found.revision ~= secret)
      end
    end
    for _, text in ipairs { "", "gitdir: ", "gitdir: /dev/zero\n", "gitdir: .\n", "gitdir: ../secret\n", "gitdir: \0\n",
      "gitdir: " .. ("x"):rep(9999), ("gitdir: %s/nowhere"):format(top) } do
      sh "rm -rf .git"
      write(work .. "/.git", text)
      assert.is_nil(harmless())
    end
    for _, make in ipairs { "mkfifo .git", "ln -s ../git .git", "ln -s /dev/zero .git", "ln -s .git .git" } do
      sh("rm -rf .git; %s", make)
      assert.is_nil(harmless())
    end
  end)

  with_git("may have any ref", function()
    repository()
    local secret = ("1"):rep(40)
    write(top .. "/secret", secret)
    for _, text in ipairs { "ref: ../../secret", "ref: refs/../../../secret", "ref: /etc/passwd",
      "ref: refs/heads/../x", "ref: refs//heads/main", "ref: refs/heads/" .. ("x"):rep(4000), "ref:", "", "\0",
      ("0"):rep(39), ("0"):rep(41), ("g"):rep(40), ("0"):rep(40) .. "x", "ref: refs/heads/main\0", "ref: refs" } do
      write(work .. "/.git/HEAD", text)
      assert.is_nil(harmless())
    end
    write(work .. "/.git/HEAD", "ref: refs/heads/p\n")
    for _, text in ipairs { " refs/heads/p\n", "1 refs/heads/p\n", ("1"):rep(41) .. " refs/heads/p\n",
      ("g"):rep(40) .. " refs/heads/p\n", ("1"):rep(40) .. " refs/heads/pq\n", ("1"):rep(40) .. " xrefs/heads/p\n" } do
      write(work .. "/.git/packed-refs", text)
      assert.is_nil(harmless())
    end
    write(work .. "/.git/packed-refs",
      "# pack-refs\n" .. ("2"):rep(40) .. " refs/heads/p\n^" .. ("3"):rep(40) .. "\n")
    assert.equal(("2"):rep(40), harmless().revision)
  end)

  with_git("may have any index", function()
    repository()
    local good = read(work .. "/.git/index")
    for length = 0, #good - 1 do
      write(work .. "/.git/index", good:sub(1, length))
      harmless()
    end
    for at = 1, #good do
      for _, byte in ipairs { 0, 1, 0x7F, 0xFF } do
        write(work .. "/.git/index", good:sub(1, at - 1) .. string.char(byte) .. good:sub(at + 1))
        harmless()
      end
    end
    local function index(version, names)
      local text = (">c4I4I4"):pack("DIRC", version, #names)
      for _, name in ipairs(names) do
        local entry = ("\0"):rep(24) .. (">I4"):pack(0x81A4) .. ("\0"):rep(12) .. ("1"):rep(20) .. (">I2"):pack(0)
        entry = entry .. name .. "\0"
        text = text .. entry .. (version == 4 and "" or ("\0"):rep(-#entry % 8))
      end
      return text .. ("\0"):rep(20)
    end
    write(top .. "/outside", "x")
    for version = 2, 5 do
      for _, name in ipairs { "../out", top .. "/outside", "/dev/zero", "a/../../outside", ".git/config", "", "a//b",
        ".", "..", ("n"):rep(5000), ("a/"):rep(2000) .. "b", ("\xFF"):rep(20), ("\x80"):rep(9) .. "a" } do
        write(work .. "/.git/index", index(version, { name }))
        harmless()
      end
    end
    write(work .. "/.git/index", (">c4I4I4"):pack("DIRC", 2, 0xFFFFFFFF) .. ("\0"):rep(100))
    assert.is_nil(harmless().dirty)
    write(work .. "/.git/index", (">c4I4I4c4I4"):pack("DIRC", 2, 0, "TREE", 0xFFFFFFFF) .. ("\0"):rep(40))
    harmless()
    write(work .. "/.git/index", (">c4I4I4c4I4"):pack("DIRC", 2, 0, "link", 20) .. ("\0"):rep(40))
    assert.is_nil(harmless().dirty)
  end)
end)
