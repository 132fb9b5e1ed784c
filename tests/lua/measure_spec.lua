local sm = require "sm"
local measure = require "sm.view.measure"

local function picture(rows, columns, f, channels)
  local numbers = {}
  for y = 1, rows do
    for x = 1, columns do
      for c = 1, channels or 1 do numbers[#numbers + 1] = f(y, x, c) end
    end
  end
  local tensor = sm.tensor(numbers)
  return channels and tensor:reshape(rows, columns, channels) or tensor:reshape(rows, columns)
end

local function checkerboard(y, x) return (y + x) % 2 * 2 - 1 end

describe("roughness", function()
  it("is 0 for an even patch, 2 for a checkerboard, 1 on average for white noise", function()
    for _, size in ipairs { { 5, 5 }, { 4, 7 }, { 1, 3 }, { 6, 1 } } do
      local rows, columns = table.unpack(size)
      assert.is_near(0, measure.roughness(picture(rows, columns, function() return 3 end)), 1e-9)
      assert.is_near(2, measure.roughness(picture(rows, columns, checkerboard)), 1e-9)
    end
    assert.is_near(2, measure.roughness(picture(3, 4, function(y, x, c) return c * checkerboard(y, x) end, 3)), 1e-9)
    sm.seed(3)
    local sum, count = 0, 1000
    for _ = 1, count do sum = sum + measure.roughness(sm.randn(5, 5)) end
    assert.is_near(1, sum / count, 0.03) -- the standard deviation of one is about 0.18
    assert.is_near(1, measure.roughness(sm.randn(60, 60, 3)), 0.05)
  end)

  it("is near 0 for a smooth slope, and follows its definition", function()
    local function slope(_, x) return x - 16 end
    assert.is_true(measure.roughness(picture(31, 31, slope)) < 0.01)
    -- {{1, 2}, {3, 5}}: differences 1, 2, 2, 3; their mean square 18/4; twice the mean square 2·39/4
    assert.is_near(18 / 4 / (2 * 39 / 4), measure.roughness(sm.tensor { { 1, 2 }, { 3, 5 } }), 1e-12)
    -- colours are compared each with itself
    local grey = picture(3, 3, function(y, x) return math.sin(y * x) end)
    local rgb = picture(3, 3, function(y, x, c) return c ~= 2 and math.sin(y * x) or 0 end, 3)
    assert.is_near(measure.roughness(grey), measure.roughness(rgb), 1e-6)
  end)

  it("does not depend on the scale or the sign", function()
    local noise = sm.randn(5, 5)
    assert.is_near(measure.roughness(noise), measure.roughness(noise * -70), 1e-5)
  end)

  it("is nothing where there is nothing to compare", function()
    assert.is_nil(measure.roughness(sm.zeros(5, 5)))
    assert.is_nil(measure.roughness(sm.ones(1, 1, 3)))
  end)
end)

describe("spread", function()
  local function axis(i)
    return picture(2, 2, function(y, x) return 2 * y + x - 2 == i and 1 or 0 end)
  end

  it("counts directions: 1 for multiples of one, n for n orthogonal ones, weighted by use", function()
    local noise = sm.randn(3, 3)
    assert.is_near(1, measure.spread({ noise, noise * -2, noise * 0.1 }, { 0.2, 0.3, 0.5 }), 1e-5)
    assert.is_near(4, measure.spread({ axis(1), axis(2) * 5, axis(3), axis(4) }, { 0.25, 0.25, 0.25, 0.25 }), 1e-6)
    assert.is_near(1 / (0.64 + 0.04), measure.spread({ axis(1), axis(2) }, { 0.8, 0.2 }), 1e-6)
    assert.is_near(2, measure.spread({ axis(1), axis(2), axis(3) }, { 0.5, 0.5, 0 }), 1e-6)
  end)

  it("is at most the number of pixels, and passes over filters of zeros", function()
    sm.seed(4)
    local filters, shares = {}, {}
    for i = 1, 200 do filters[i], shares[i] = sm.randn(2, 2), 1 / 200 end
    local spread = measure.spread(filters, shares)
    assert.is_true(spread > 3.7 and spread <= 4)
    assert.is_near(2, measure.spread({ axis(1), sm.zeros(2, 2), axis(2) }, { 0.25, 0.5, 0.25 }), 1e-6)
    assert.is_nil(measure.spread({ sm.zeros(2, 2) }, { 1 }))
  end)
end)

describe("filters", function()
  it("count by the variance of their activation", function()
    local smooth, rough = picture(4, 4, function() return 1 end), picture(4, 4, checkerboard)
    local found = measure.filters({ smooth, rough, sm.randn(4, 4) }, { 9, 3, 0 })
    assert.is_near(0.25 * 2, found.roughness, 1e-9)
    assert.is_near(1 / (0.75 ^ 2 + 0.25 ^ 2), found.spread, 1e-6)
    assert.is_near(1 / 3 / (0.75 ^ 2 + 0.25 ^ 2), found.used, 1e-12)
    assert.is_near(1, measure.filters({ smooth, rough }, { 2, 2 }).used, 1e-12)
    assert.are.same({ used = 0 }, measure.filters({ smooth, rough }, { 0, 0 }))
    assert.are.same({ used = 1 }, measure.filters({ sm.zeros(2, 2) }, { 1 }))
  end)
end)
