---@meta
-- Made by `make docs` from the library's records, rules and comments; a test compares.

--- Numbers of one type in a box of any rank, row by row.
---@class sm.Tensor
---@field [integer] sm.Tensor a part along the first axis
---@operator add(sm.Tensor|number): sm.Tensor
---@operator sub(sm.Tensor|number): sm.Tensor
---@operator mul(sm.Tensor|number): sm.Tensor
---@operator div(sm.Tensor|number): sm.Tensor
---@operator pow(sm.Tensor|number): sm.Tensor
---@operator unm: sm.Tensor
---@operator len: integer
local Tensor = {}

--- how long each axis is
---@type integer[]
Tensor.shape = nil

--- the type of its elements
---@type sm.Dtype
Tensor.dtype = nil

--- its gradient after backward; nil before
---@type sm.Tensor
Tensor.grad = nil

---@class sm.options.x.accuracy
---@field ignore? integer a label whose rows do not count

--- `x:accuracy(labels, options)`
---
--- The fraction of rows of logits {…, classes} whose largest element is at the label: a number.
---@param labels sm.Tensor
---@param options? sm.options.x.accuracy
---@return number
function Tensor:accuracy(labels, options) end

--- `x:copy_(y)`
---
--- y's numbers into x, in place. Nothing is recorded, so a gradient that should pass through raises.
---@param y sm.Tensor
---@return sm.Tensor
function Tensor:copy_(y) end

--- `x:item()`
---
--- The one element of a tensor, as a number.
---@return number
function Tensor:item() end

--- `x:totable()`
---
--- Nested tables of numbers (a number for a scalar).
---@return any
function Tensor:totable() end

--- `x:reshape(2, -1) or x:reshape{2, -1}`
---
--- the same elements in another shape, sharing storage; one size may be -1.
---@param list? integer|integer[]
---@param ... integer
---@return sm.Tensor
function Tensor:reshape(list, ...) end

--- `x[i] or x:select(i)`
---
--- element i of the first axis (1-based, negative from the end), sharing storage.
---@param i integer
---@return sm.Tensor
function Tensor:select(i) end

--- `x:slice(first, last)`
---
--- these elements of the first axis (1-based, both included, negative from the end; last by default the last),
--- sharing storage.
---@param first integer
---@param last? integer
---@return sm.Tensor
function Tensor:slice(first, last) end

--- `x:clone()`
---
--- a copy, through which the gradient passes.
---@return sm.Tensor
function Tensor:clone() end

--- `x:to(dtype)`
---
--- another element type, "float32" (the double build: "float64"), "uint8", "int32"; the tensor itself if it has it.
--- No gradient passes from one type to another.
---@param dtype sm.Dtype
---@return sm.Tensor
function Tensor:to(dtype) end

--- `x:permute(3, 1, 2) or x:permute{3, 1, 2}`
---
--- the axes in another order.
---@param list? integer|integer[]
---@param ... integer
---@return sm.Tensor
function Tensor:permute(list, ...) end

--- `x:transpose(a, b)`
---
--- two axes exchanged; of a matrix x:transpose().
---@param a? integer
---@param b? integer
---@return sm.Tensor
function Tensor:transpose(a, b) end

--- `x:squeeze(axis)`
---
--- without an axis of size 1, or those in a list, or all of them; other sizes stay. Shares storage.
---@param axis? integer|integer[]
---@return sm.Tensor
function Tensor:squeeze(axis) end

--- `x:unsqueeze(axis)`
---
--- with a new axis of size 1 there; -1 is behind the last. Shares storage.
---@param axis integer
---@return sm.Tensor
function Tensor:unsqueeze(axis) end

--- `x:expand(shape)`
---
--- axes of size 1, and new ones in front, repeated to these sizes; -1 keeps a size. A copy.
---@param list? integer|integer[]
---@param ... integer
---@return sm.Tensor
function Tensor:expand(list, ...) end

--- `x:flip(axis), or a list of axes`
---
--- the elements along it in the opposite order.
---@param axis integer|integer[]
---@return sm.Tensor
function Tensor:flip(axis) end

--- `x:roll(n, axis), or a list of both`
---
--- every element n positions further, those at the end to the beginning. Without an axis the elements are taken in a
--- row.
---@param n integer|integer[]
---@param axis? integer|integer[]
---@return sm.Tensor
function Tensor:roll(n, axis) end

--- `x:narrow(axis, start, length)`
---
--- so many elements along an axis; start counts from 1, or from -1 at the end. Along the first axis it shares
--- storage, else it is a copy.
---@param axis integer
---@param start integer
---@param length integer
---@return sm.Tensor
function Tensor:narrow(axis, start, length) end

--- `x:split(n, axis)`
---
--- a list of pieces of n elements along an axis, by default the first, of which the last may be shorter; x:split({2,
--- 3}, axis): of these sizes. Along the first axis they share storage.
---@param sizes integer|integer[]
---@param axis? integer
---@return sm.Tensor[]
function Tensor:split(sizes, axis) end

---@class sm.options.pad
---@field [1] (integer)? elements before and after, in pairs from the last axis on
---@field [2] (integer)? elements before and after, in pairs from the last axis on
---@field [3] (integer)? elements before and after, in pairs from the last axis on
---@field [4] (integer)? elements before and after, in pairs from the last axis on
---@field [5] (integer)? elements before and after, in pairs from the last axis on
---@field [6] (integer)? elements before and after, in pairs from the last axis on
---@field [7] (integer)? elements before and after, in pairs from the last axis on
---@field [8] (integer)? elements before and after, in pairs from the last axis on
---@field [9] (integer)? elements before and after, in pairs from the last axis on
---@field [10] (integer)? elements before and after, in pairs from the last axis on
---@field [11] (integer)? elements before and after, in pairs from the last axis on
---@field [12] (integer)? elements before and after, in pairs from the last axis on
---@field [13] (integer)? elements before and after, in pairs from the last axis on
---@field [14] (integer)? elements before and after, in pairs from the last axis on
---@field [15] (integer)? elements before and after, in pairs from the last axis on
---@field [16] (integer)? elements before and after, in pairs from the last axis on
--- what is shown: a value, x turned about its last element, that element again, or x from the other end (default:
--- "constant")
---@field mode? "constant"|"reflect"|"replicate"|"circular"
---@field value? number what the new elements are, with the mode constant (default: 0)

--- `x:pad{before, after, …, value, mode}`
---
--- elements added around x, a pair for the last axis, then for the one before it and so on; negative ones take away.
--- A mode other than constant shows x itself instead of a value.
---@param options sm.options.pad|integer[]
---@return sm.Tensor
function Tensor:pad(options) end

--- `x:tile(2, 3) or x:tile{2, 3}`
---
--- x repeated so often along each axis; with fewer numbers than axes along the last ones, with more along new ones in
--- front.
---@param list? integer|integer[]
---@param ... integer
---@return sm.Tensor
function Tensor:tile(list, ...) end

--- `x:neg()`
---
--- -x.
---@return sm.Tensor
function Tensor:neg() end

--- `x:exp()`
---
--- e to the power x.
---@return sm.Tensor
function Tensor:exp() end

--- `x:log()`
---
--- the natural logarithm.
---@return sm.Tensor
function Tensor:log() end

--- `x:sqrt()`
---
--- the square root.
---@return sm.Tensor
function Tensor:sqrt() end

--- `x:abs()`
---
--- the absolute value, whose gradient at 0 is 0.
---@return sm.Tensor
function Tensor:abs() end

--- `x:tanh()`
---
--- the hyperbolic tangent.
---@return sm.Tensor
function Tensor:tanh() end

--- `x:sigmoid()`
---
--- the logistic function, 1 / (1 + e^-x).
---@return sm.Tensor
function Tensor:sigmoid() end

--- `x:relu()`
---
--- x where it is above 0, else 0; the gradient at 0 is 0.
---@return sm.Tensor
function Tensor:relu() end

--- `x:softplus()`
---
--- log(1 + e^x), a relu without a corner, whose gradient is the sigmoid.
---@return sm.Tensor
function Tensor:softplus() end

--- `x:sin()`
---
--- the sine.
---@return sm.Tensor
function Tensor:sin() end

--- `x:cos()`
---
--- the cosine.
---@return sm.Tensor
function Tensor:cos() end

--- `x:erf()`
---
--- the error function.
---@return sm.Tensor
function Tensor:erf() end

--- `x:expm1()`
---
--- e^x - 1, exact also for small x.
---@return sm.Tensor
function Tensor:expm1() end

--- `x:log1p()`
---
--- log(1 + x), exact also for small x.
---@return sm.Tensor
function Tensor:log1p() end

--- `x:reciprocal()`
---
--- 1 / x.
---@return sm.Tensor
function Tensor:reciprocal() end

--- `x:rsqrt()`
---
--- 1 over the square root.
---@return sm.Tensor
function Tensor:rsqrt() end

--- `x:square()`
---
--- x^2.
---@return sm.Tensor
function Tensor:square() end

---@class sm.options.clamp
---@field [1] (number)? low (default: -inf)
---@field [2] (number)? high (default: math.huge)

--- `x:clamp(low = -inf, high = inf)`
---
--- every element limited to [low, high], of which one may be nil; the gradient passes where it lies inside.
---@param low? number
---@param high? number
---@return sm.Tensor
function Tensor:clamp(low, high) end

---@class sm.options.leaky_relu
---@field [1] (number)? slope (default: 0.01)

--- `x:leaky_relu(slope = 0.01)`
---
--- x where it is above 0, else slope * x.
---@param slope? number
---@return sm.Tensor
function Tensor:leaky_relu(slope) end

---@class sm.options.elu
---@field [1] (number)? alpha (default: 1)

--- `x:elu(alpha = 1)`
---
--- x where it is above 0, else alpha * (e^x - 1).
---@param alpha? number
---@return sm.Tensor
function Tensor:elu(alpha) end

---@class sm.options.celu
---@field [1] (number)? alpha (default: 1)

--- `x:celu(alpha = 1)`
---
--- x where it is above 0, else alpha * (e^(x / alpha) - 1), which has no corner.
---@param alpha? number
---@return sm.Tensor
function Tensor:celu(alpha) end

--- `x:selu()`
---
--- an elu that keeps mean 0 and variance 1 (Klambauer et al. 2017).
---@return sm.Tensor
function Tensor:selu() end

--- `x:silu()`
---
--- x * sigmoid(x), also called swish.
---@return sm.Tensor
function Tensor:silu() end

--- `x:mish()`
---
--- x * tanh(softplus(x)).
---@return sm.Tensor
function Tensor:mish() end

---@class sm.options.hardtanh
---@field [1] (number)? low (default: -1)
---@field [2] (number)? high (default: 1)

--- `x:hardtanh(low = -1, high = 1)`
---
--- x limited to [low, high], whose gradient at the limits is 0.
---@param low? number
---@param high? number
---@return sm.Tensor
function Tensor:hardtanh(low, high) end

--- `x:relu6()`
---
--- x limited to [0, 6], whose gradient at the limits is 0.
---@return sm.Tensor
function Tensor:relu6() end

--- `x:hardsigmoid()`
---
--- (x + 3) / 6 limited to [0, 1], whose gradient at the limits is 0.
---@return sm.Tensor
function Tensor:hardsigmoid() end

--- `x:hardswish()`
---
--- x * hardsigmoid(x).
---@return sm.Tensor
function Tensor:hardswish() end

--- `x:softsign()`
---
--- x / (1 + |x|).
---@return sm.Tensor
function Tensor:softsign() end

--- `x:logsigmoid()`
---
--- the logarithm of the sigmoid.
---@return sm.Tensor
function Tensor:logsigmoid() end

--- `x:tanhshrink()`
---
--- x - tanh(x).
---@return sm.Tensor
function Tensor:tanhshrink() end

---@class sm.options.softshrink
---@field [1] (number)? size (default: 0.5)

--- `x:softshrink(size = 0.5)`
---
--- x less what of it lies in [-size, size].
---@param size? number
---@return sm.Tensor
function Tensor:softshrink(size) end

---@class sm.options.hardshrink
---@field [1] (number)? size (default: 0.5)

--- `x:hardshrink(size = 0.5)`
---
--- x, or 0 where it lies in [-size, size].
---@param size? number
---@return sm.Tensor
function Tensor:hardshrink(size) end

---@class sm.options.threshold
---@field [1] number threshold
---@field [2] number value

--- `x:threshold(threshold, value)`
---
--- x where it is above the threshold, else a value.
---@param threshold number
---@param value number
---@return sm.Tensor
function Tensor:threshold(threshold, value) end

--- `x:prelu(slope)`
---
--- x where it is above 0, else slope * x, where the slope is a tensor, trained: {1}, or one for each channel, of
--- shape {channels}; it broadcasts.
---@param slope sm.Tensor
---@return sm.Tensor
function Tensor:prelu(slope) end

---@class sm.options.gelu
---@field approximate? "none"|"tanh" which formula is taken (default: "none")

--- `x:gelu{approximate = "none"}`
---
--- x times the probability that a normal number is below x; approximate = "tanh" is the formula with tanh (Hendrycks
--- and Gimpel 2016).
---@param options? sm.options.gelu
---@return sm.Tensor
function Tensor:gelu(options) end

--- `a + b, also x:add(b)`
---
--- tensors or numbers, which broadcast.
---@param b sm.Tensor|number
---@return sm.Tensor
function Tensor:add(b) end

--- `a - b, also x:sub(b)`
---
--- tensors or numbers, which broadcast.
---@param b sm.Tensor|number
---@return sm.Tensor
function Tensor:sub(b) end

--- `a * b, also x:mul(b)`
---
--- tensors or numbers, which broadcast.
---@param b sm.Tensor|number
---@return sm.Tensor
function Tensor:mul(b) end

--- `a / b, also x:div(b)`
---
--- tensors or numbers, which broadcast.
---@param b sm.Tensor|number
---@return sm.Tensor
function Tensor:div(b) end

--- `a ^ b, also x:pow(b)`
---
--- tensors or numbers, which broadcast.
---@param b sm.Tensor|number
---@return sm.Tensor
function Tensor:pow(b) end

--- `x:lt(y)`
---
--- 1 where x is less than y, a tensor or a number, else 0: uint8. Types may differ; with NaN always 0.
---@param y sm.Tensor|number
---@return sm.Tensor
function Tensor:lt(y) end

--- `x:le(y)`
---
--- 1 where x is at most y, a tensor or a number, else 0: uint8. Types may differ; with NaN always 0.
---@param y sm.Tensor|number
---@return sm.Tensor
function Tensor:le(y) end

--- `x:gt(y)`
---
--- 1 where x is greater than y, a tensor or a number, else 0: uint8. Types may differ; with NaN always 0.
---@param y sm.Tensor|number
---@return sm.Tensor
function Tensor:gt(y) end

--- `x:ge(y)`
---
--- 1 where x is at least y, a tensor or a number, else 0: uint8. Types may differ; with NaN always 0.
---@param y sm.Tensor|number
---@return sm.Tensor
function Tensor:ge(y) end

--- `x:eq(y)`
---
--- 1 where x is equal to y, a tensor or a number, else 0: uint8. Types may differ; with NaN always 0.
---@param y sm.Tensor|number
---@return sm.Tensor
function Tensor:eq(y) end

--- `x:ne(y)`
---
--- 1 where x is not equal to y, a tensor or a number, else 0: uint8. Types may differ; with NaN always 1.
---@param y sm.Tensor|number
---@return sm.Tensor
function Tensor:ne(y) end

--- `x:sign()`
---
--- -1, 0 or 1 by the sign; NaN stays NaN. The gradient is 0.
---@return sm.Tensor
function Tensor:sign() end

--- `x:floor()`
---
--- the largest integer that is not larger; NaN stays NaN. The gradient is 0.
---@return sm.Tensor
function Tensor:floor() end

--- `x:round()`
---
--- the nearest integer, of two equally near the even one; NaN stays NaN. The gradient is 0.
---@return sm.Tensor
function Tensor:round() end

--- `x:isfinite()`
---
--- 1 where x is neither infinite nor NaN, else 0: uint8.
---@return sm.Tensor
function Tensor:isfinite() end

--- `x:any(axis)`
---
--- whether an element is not 0 along an axis, which is dropped, or in all of x: uint8. NaN is not 0; of no elements
--- 0.
---@param axis? integer
---@return sm.Tensor
function Tensor:any(axis) end

--- `x:all(axis)`
---
--- whether all elements are not 0 along an axis, which is dropped, or in all of x: uint8. NaN is not 0; of no
--- elements 1.
---@param axis? integer
---@return sm.Tensor
function Tensor:all(axis) end

---@class sm.options.sum
---@field keepdim? boolean whether the axes stay, with one element (default: false)

--- `x:sum(axis, {keepdim = false})`
---
--- along an axis or a list of axes, which are dropped unless keepdim, or over all elements. Adds in double; of
--- nothing 0.
---@param axis? integer|integer[]
---@param options? sm.options.sum
---@return sm.Tensor
function Tensor:sum(axis, options) end

---@class sm.options.mean
---@field keepdim? boolean whether the axes stay, with one element (default: false)

--- `x:mean(axis, {keepdim = false})`
---
--- along an axis or a list of axes, which are dropped unless keepdim, or over all elements. Adds in double; of
--- nothing NaN.
---@param axis? integer|integer[]
---@param options? sm.options.mean
---@return sm.Tensor
function Tensor:mean(axis, options) end

---@class sm.options.prod
---@field keepdim? boolean whether the axes stay, with one element (default: false)

--- `x:prod(axis, {keepdim = false})`
---
--- the product along an axis or a list of axes, which are dropped unless keepdim, or of all elements; of nothing 1.
--- The gradient of an element is the product of the others, also where some are 0.
---@param axis? integer|integer[]
---@param options? sm.options.prod
---@return sm.Tensor
function Tensor:prod(axis, options) end

---@class sm.options.max
---@field keepdim? boolean whether the axes stay, with one element (default: false)

--- `x:max(axis, {keepdim = false})`
---
--- the largest element along an axis or a list of axes, which are dropped unless keepdim, or of all; the gradient
--- goes to the first of equals. NaN is larger than any number.
---@param axis? integer|integer[]
---@param options? sm.options.max
---@return sm.Tensor
function Tensor:max(axis, options) end

---@class sm.options.min
---@field keepdim? boolean whether the axes stay, with one element (default: false)

--- `x:min(axis, {keepdim = false})`
---
--- the smallest element along an axis or a list of axes, which are dropped unless keepdim, or of all; the gradient
--- goes to the first of equals. NaN is smaller than any number.
---@param axis? integer|integer[]
---@param options? sm.options.min
---@return sm.Tensor
function Tensor:min(axis, options) end

--- `x:cumsum(axis)`
---
--- the sums of the elements along an axis up to each, it included. Adds in double.
---@param axis integer
---@return sm.Tensor
function Tensor:cumsum(axis) end

---@class sm.options.norm
---@field keepdim? boolean whether the axes stay, with one element (default: false)

--- `x:norm(axis, {keepdim = false})`
---
--- the Euclidean norm along an axis or a list of axes, which are dropped unless keepdim, or of all elements; of
--- nothing 0. The gradient at 0 is 0.
---@param axis? integer|integer[]
---@param options? sm.options.norm
---@return sm.Tensor
function Tensor:norm(axis, options) end

---@class sm.options.var
---@field keepdim? boolean whether the axes stay, with one element (default: false)
---@field unbiased? boolean whether their number less 1 divides (default: true)

--- `x:var(axis, {keepdim = false, unbiased = true})`
---
--- the variance along an axis or a list of axes, which are dropped unless keepdim, or of all elements; divides by
--- their number less 1, with unbiased = false by their number; NaN where that is 0.
---@param axis? integer|integer[]
---@param options? sm.options.var
---@return sm.Tensor
function Tensor:var(axis, options) end

---@class sm.options.std
---@field keepdim? boolean whether the axes stay, with one element (default: false)
---@field unbiased? boolean whether their number less 1 divides (default: true)

--- `x:std(axis, {keepdim = false, unbiased = true})`
---
--- the standard deviation along an axis or a list of axes, which are dropped unless keepdim, or of all elements;
--- divides by their number less 1, with unbiased = false by their number; NaN where that is 0. The gradient at 0 is
--- 0.
---@param axis? integer|integer[]
---@param options? sm.options.std
---@return sm.Tensor
function Tensor:std(axis, options) end

---@class sm.options.logsumexp
---@field keepdim? boolean whether the axes stay, with one element (default: false)

--- `x:logsumexp(axis, {keepdim = false})`
---
--- log of the sum of e^x along an axis or a list of axes, which are dropped unless keepdim, or over all elements;
--- safe for large x; of nothing -inf.
---@param axis? integer|integer[]
---@param options? sm.options.logsumexp
---@return sm.Tensor
function Tensor:logsumexp(axis, options) end

--- `x:index_select(axis, i)`
---
--- the elements of an axis at positions i {n}, for all of the other axes.
---@param axis integer
---@param i sm.Tensor
---@return sm.Tensor
function Tensor:index_select(axis, i) end

--- `x:gather(axis, i)`
---
--- of axis 2 of three, out[a][b][c] = x[a][i[a][b][c]][c]; out has i's shape. Along the other axes i may be shorter
--- than x.
---@param axis integer
---@param i sm.Tensor
---@return sm.Tensor
function Tensor:gather(axis, i) end

--- `x:scatter_add(axis, i, src)`
---
--- x, and every element of src added at its position, as gather reads: of axis 2 of three, out[a][i[a][b][c]][c] gets
--- src[a][b][c]. Always in the same order.
---@param axis integer
---@param i sm.Tensor
---@param src sm.Tensor
---@return sm.Tensor
function Tensor:scatter_add(axis, i, src) end

--- `x:pick(labels)`
---
--- of each row of x {…, classes} the element that its label names; labels {…} count from 0.
---@param labels sm.Tensor
---@return sm.Tensor
function Tensor:pick(labels) end

--- `x:embedding(tokens)`
---
--- of a table x {count, …} the row of each token {…}, which counts from 0. The gradient adds up the rows of equal
--- tokens, always in the same order.
---@param tokens sm.Tensor
---@return sm.Tensor
function Tensor:embedding(tokens) end

--- `x:predict()`
---
--- of each row of x {…, classes} the label of the largest element, which counts from 0, so one less than
--- x:argmax(-1): int32.
---@return sm.Tensor
function Tensor:predict() end

--- `x:argmax(axis)`
---
--- the position of the largest element along an axis, or of all, from 1; ties: the first, and NaN is larger than any
--- number: int32.
---@param axis? integer
---@return sm.Tensor
function Tensor:argmax(axis) end

--- `x:argmin(axis)`
---
--- the position of the smallest element along an axis, or of all, from 1; ties: the first, and NaN is smaller than
--- any number: int32.
---@param axis? integer
---@return sm.Tensor
function Tensor:argmin(axis) end

---@class sm.options.sort
---@field descending? boolean the largest first (default: false)

--- `x:sort(axis, {descending})`
---
--- the elements in order along an axis, by default the last, and their positions: two tensors. Equal ones keep their
--- order; NaN is the largest.
---@param axis? integer
---@param options? sm.options.sort
---@return sm.Tensor
---@return sm.Tensor
function Tensor:sort(axis, options) end

---@class sm.options.argsort
---@field descending? boolean the largest first (default: false)

--- `x:argsort(axis, {descending})`
---
--- the positions that x:sort gives.
---@param axis? integer
---@param options? sm.options.argsort
---@return sm.Tensor
function Tensor:argsort(axis, options) end

---@class sm.options.topk
---@field largest? boolean the largest, or else the smallest (default: true)

--- `x:topk(k, axis, {largest})`
---
--- the k largest elements along an axis, by default the last, the largest first, and their positions: two tensors. Of
--- equal ones the first; NaN is the largest.
---@param k integer
---@param axis? integer
---@param options? sm.options.topk
---@return sm.Tensor
---@return sm.Tensor
function Tensor:topk(k, axis, options) end

--- `a:matmul(b)`
---
--- the product of two matrices, or of the matrices in the last two axes, where the axes before broadcast, without
--- copies. A vector is a row as a, a column as b, and leaves no axis.
---@param b sm.Tensor
---@return sm.Tensor
function Tensor:matmul(b) end

--- `x:linear(w, b, relu)`
---
--- x {…, in} · w {in, out} + b {out} or {1, out} along the last axis of x, which has at least two; b may be nil.
--- With true as relu that of the result, in the same pass.
---@param w sm.Tensor
---@param b? sm.Tensor
---@param relu? boolean
---@return sm.Tensor
function Tensor:linear(w, b, relu) end

---@class sm.options.conv2d
---@field bias? sm.Tensor {out}, added to each filter's sum
---@field dilation? integer|integer[] pixels from an element of the window to the next, or {down, across}
---@field groups? integer of channels and filters; a filter sees the channels of its own group alone (default: 1)
--- "same" (a window for each stride), "valid" (none), pixels on each side, {height, width} or {top, left, bottom,
--- right} (default: "same")
---@field padding? integer|integer[]|"same"|"valid"
---@field stride? integer|integer[] pixels from a window to the next, or {down, across}

--- `x:conv2d(w, {stride = 1, padding = "same", dilation = 1, groups = 1, bias = {out}})`
---
--- the convolution (cross-correlation) of x {N, H, W, in} with filters w {height, width, in / groups, out}. stride
--- and dilation: numbers or {height, width}; padding: "same" (positions/stride, rounded up), "valid" (none), pixels
--- on each side, {height, width} or {top, left, bottom, right}; groups: filters see the channels of their own group
--- alone.
---@param w sm.Tensor
---@param options? sm.options.conv2d
---@return sm.Tensor
function Tensor:conv2d(w, options) end

---@class sm.options.conv1d
---@field bias? sm.Tensor {out}, added to each filter's sum
---@field dilation? integer steps from an element of the window to the next (default: 1)
---@field groups? integer of channels and filters; a filter sees the channels of its own group alone (default: 1)
--- "same", "valid", steps on each side or {before, after} (default: "same")
---@field padding? integer|integer[]|"same"|"valid"
---@field stride? integer steps from a window to the next (default: 1)

--- `x:conv1d(w, {stride = 1, padding = "same", dilation = 1, groups = 1, bias = {out}})`
---
--- the convolution of sequences x {N, time, in} with filters w {length, in / groups, out}. padding: "same", "valid",
--- steps on each side or {before, after}.
---@param w sm.Tensor
---@param options? sm.options.conv1d
---@return sm.Tensor
function Tensor:conv1d(w, options) end

---@class sm.options.conv2d_transpose
---@field bias? sm.Tensor {out}, added to each filter's sum
---@field dilation? integer|integer[] pixels from an element of the window to the next, or {down, across}
---@field groups? integer of channels and filters; a filter sees the channels of its own group alone (default: 1)
--- "same" (a window for each stride), "valid" (none), pixels on each side, {height, width} or {top, left, bottom,
--- right} (default: "same")
---@field padding? integer|integer[]|"same"|"valid"
---@field size? table {height, width} of the result, where several lead to this input
---@field stride? integer|integer[] pixels from a window to the next, or {down, across}

--- `y:conv2d_transpose(w, {stride = 1, padding = "same", dilation = 1, groups = 1, bias = {in}, size = {H', W'}})`
---
--- the convolution turned around, which maps {N, H, W, out} back to {N, H', W', in} with the same filters {height,
--- width, in / groups, out}. Without size, "same" gives H * stride, otherwise (H-1) * stride + what the window spans,
--- less the padding. stride and dilation: numbers or {height, width}; padding: "same" (positions/stride, rounded up),
--- "valid" (none), pixels on each side, {height, width} or {top, left, bottom, right}; groups: filters see the
--- channels of their own group alone.
---@param w sm.Tensor
---@param options? sm.options.conv2d_transpose
---@return sm.Tensor
function Tensor:conv2d_transpose(w, options) end

---@class sm.options.unfold
---@field dilation? integer|integer[] pixels from an element of the window to the next, or {down, across}
--- "same" (a window for each stride), "valid" (none), pixels on each side, {height, width} or {top, left, bottom,
--- right} (default: "valid")
---@field padding? integer|integer[]|"same"|"valid"
---@field stride? integer|integer[] pixels from a window to the next, or {down, across}

--- `x:unfold(kernel, {stride = 1, padding = "valid", dilation = 1})`
---
--- what the window sees at each of its positions, {N, H', W', height * width * channels}: row by row, and of each
--- pixel all channels, as filters lie in memory (PyTorch has the channels first). kernel: a number or {height,
--- width}. x:unfold(3):matmul(w:reshape(-1, out)) is a convolution.
---@param kernel integer|integer[]
---@param options? sm.options.unfold
---@return sm.Tensor
function Tensor:unfold(kernel, options) end

---@class sm.options.upsample2d
---@field align_corners? boolean whether bilinear interpolation puts corners on corners (default: false)
---@field factor? number|table how many times as large, or {down, across}
---@field mode? "nearest"|"bilinear" what is between pixels (default: "nearest")
---@field size? table or the result's {height, width}

--- `x:upsample2d {factor = n | {h, w}, mode = "nearest" | "bilinear", align_corners = false}`
---
--- images in another size, factor times theirs (rounded down), or size = {height, width}. Nearest takes the pixel at
--- or before i / factor; bilinear interpolates at (i + 0.5) / factor - 0.5, with align_corners so that the corners
--- coincide. A factor that leaves a size as it is, 1.1 of 5 pixels, leaves its pixels, too.
---@param options sm.options.upsample2d
---@return sm.Tensor
function Tensor:upsample2d(options) end

---@class sm.options.maxpool2d
---@field dilation? integer|integer[] pixels from an element of the window to the next, or {down, across}
--- "same" (a window for each stride), "valid" (none), pixels on each side, {height, width} or {top, left, bottom,
--- right} (default: "valid")
---@field padding? integer|integer[]|"same"|"valid"
---@field partial? boolean whether what is left over at the end gets a window, too (default: false)
--- pixels from a window to the next, or {down, across}; by default the window's size, so that windows touch
---@field stride? integer|integer[]

--- `x:maxpool2d(kernel, {stride = kernel, padding = "valid", dilation = 1, partial = false})`
---
--- the largest value of every window; ties go to the first, NaN is larger than any number, and padding never wins.
--- kernel, stride and dilation: numbers or {height, width}; padding: "valid", "same", pixels on each side, {height,
--- width} or {top, left, bottom, right}. partial: what is left over at the end gets a window, too (PyTorch's
--- ceil_mode).
---@param kernel integer|integer[]
---@param options? sm.options.maxpool2d
---@return sm.Tensor
function Tensor:maxpool2d(kernel, options) end

---@class sm.options.avgpool2d
---@field count_padding? boolean whether padding counts, as zeros (default: false)
---@field dilation? integer|integer[] pixels from an element of the window to the next, or {down, across}
--- "same" (a window for each stride), "valid" (none), pixels on each side, {height, width} or {top, left, bottom,
--- right} (default: "valid")
---@field padding? integer|integer[]|"same"|"valid"
---@field partial? boolean whether what is left over at the end gets a window, too (default: false)
--- pixels from a window to the next, or {down, across}; by default the window's size, so that windows touch
---@field stride? integer|integer[]

--- `x:avgpool2d(kernel, {stride = kernel, padding = "valid", dilation = 1, partial = false, count_padding = false})`
---
--- the mean of every window, of its pixels on the image or, with count_padding, of the padding too, as zeros. kernel,
--- stride and dilation: numbers or {height, width}; padding: "valid", "same", pixels on each side, {height, width} or
--- {top, left, bottom, right}. partial: what is left over at the end gets a window, too (PyTorch's ceil_mode).
---@param kernel integer|integer[]
---@param options? sm.options.avgpool2d
---@return sm.Tensor
function Tensor:avgpool2d(kernel, options) end

---@class sm.options.maxpool1d
---@field dilation? integer steps from an element of the window to the next (default: 1)
--- "same", "valid", steps on each side or {before, after} (default: "valid")
---@field padding? integer|integer[]|"same"|"valid"
---@field partial? boolean whether what is left over at the end gets a window, too (default: false)
---@field stride? integer steps from a window to the next; by default the window's length, so that windows touch

--- `x:maxpool1d(length, {stride = length, padding = "valid", dilation = 1, partial = false})`
---
--- the largest value of every window over sequences {N, time, channels}, as x:maxpool2d has it. padding: "valid",
--- "same", steps on each side or {before, after}.
---@param length integer
---@param options? sm.options.maxpool1d
---@return sm.Tensor
function Tensor:maxpool1d(length, options) end

---@class sm.options.avgpool1d
---@field count_padding? boolean whether padding counts, as zeros (default: false)
---@field dilation? integer steps from an element of the window to the next (default: 1)
--- "same", "valid", steps on each side or {before, after} (default: "valid")
---@field padding? integer|integer[]|"same"|"valid"
---@field partial? boolean whether what is left over at the end gets a window, too (default: false)
---@field stride? integer steps from a window to the next; by default the window's length, so that windows touch

--- `x:avgpool1d(length, {stride = length, padding = "valid", dilation = 1, partial = false, count_padding = false})`
---
--- the mean of every window over sequences {N, time, channels}, as x:avgpool2d has it. padding: "valid", "same",
--- steps on each side or {before, after}.
---@param length integer
---@param options? sm.options.avgpool1d
---@return sm.Tensor
function Tensor:avgpool1d(length, options) end

---@class sm.options.global_maxpool
---@field keepdim? boolean whether the axes stay, with one element (default: false)

--- `x:global_maxpool {keepdim = false}`
---
--- the largest value of each channel over all locations, {N, …, channels} → {N, channels}; with keepdim their
--- axes stay, with size 1.
---@param options? sm.options.global_maxpool
---@return sm.Tensor
function Tensor:global_maxpool(options) end

---@class sm.options.global_avgpool
---@field keepdim? boolean whether the axes stay, with one element (default: false)

--- `x:global_avgpool {keepdim = false}`
---
--- the mean of each channel over all locations, {N, …, channels} → {N, channels}; with keepdim their axes stay,
--- with size 1.
---@param options? sm.options.global_avgpool
---@return sm.Tensor
function Tensor:global_avgpool(options) end

---@class sm.options.softmax
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
--- gives 1 for the largest and 0 for the others, with the gradient of what is soft (default: false)
---@field hard? boolean
---@field off? boolean adds an option with logit 0, none of these, to every group (default: false)
---@field scale? boolean multiplies by the group's size, so that the mean is 1 (default: false)
---@field sizes? table or the sizes of uneven groups of the last axis
--- divides the logits: a number, or a tensor of one number or of one for each group (default: 1)
---@field temperature? number|sm.Tensor

--- `x:softmax{groups = 1 | sizes = {…} | axis = -1, temperature = 1, scale = false, off = false, hard = false}`
---
--- softmax over each group of the last axis, or over another axis or a list of axes. temperature, a number or a
--- tensor of one number or of one a group, divides the logits. scale multiplies by the group's size; off adds an
--- implicit option with logit 0; hard gives 1 to the largest and 0 to the others, with the gradient of the softmax.
---@param options? sm.options.softmax
---@return sm.Tensor
function Tensor:softmax(options) end

---@class sm.options.log_softmax
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
---@field off? boolean adds an option with logit 0, none of these, to every group (default: false)
---@field sizes? table or the sizes of uneven groups of the last axis
--- divides the logits: a number, or a tensor of one number or of one for each group (default: 1)
---@field temperature? number|sm.Tensor

--- `x:log_softmax{groups = 1 | sizes = {…} | axis = -1, temperature = 1, off = false}`
---
--- the logarithm of the softmax, safe where that would be 0.
---@param options? sm.options.log_softmax
---@return sm.Tensor
function Tensor:log_softmax(options) end

---@class sm.options.gumbel_softmax
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
--- gives 1 for the largest and 0 for the others, with the gradient of what is soft (default: false)
---@field hard? boolean
---@field sizes? table or the sizes of uneven groups of the last axis
--- divides the logits: a number, or a tensor of one number or of one for each group (default: 1)
---@field temperature? number|sm.Tensor

--- `x:gumbel_softmax{groups = 1 | sizes = {…} | axis = -1, temperature = 1, hard = false}`
---
--- softmax of logits with Gumbel noise, so that the largest of a group is a draw from its softmax. hard gives 1 to it
--- and 0 to the others, with the gradient of the softmax.
---@param options? sm.options.gumbel_softmax
---@return sm.Tensor
function Tensor:gumbel_softmax(options) end

---@class sm.options.sparsemax
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
---@field sizes? table or the sizes of uneven groups of the last axis

--- `x:sparsemax{groups = 1 | sizes = {…} | axis = -1}`
---
--- the probabilities that are nearest to x, of which many are exactly 0: max(x - t, 0), with the t for which each
--- group adds up to 1.
---@param options? sm.options.sparsemax
---@return sm.Tensor
function Tensor:sparsemax(options) end

---@class sm.options.kwta
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
---@field k integer how many of each group are kept
---@field sizes? table or the sizes of uneven groups of the last axis

--- `x:kwta{k = 2, groups = 1 | sizes = {…} | axis = -1}`
---
--- of each group the k largest, of equals the first, and 0 for the others (k winners take all). The gradient passes
--- to the winners.
---@param options sm.options.kwta
---@return sm.Tensor
function Tensor:kwta(options) end

---@class sm.options.maxout
---@field pieces integer channels of which the largest is taken

--- `x:maxout{pieces = 2}`
---
--- the largest of every so many neighbours along the last axis, {…, n} → {…, n/pieces}. Of equals the first
--- gets the gradient.
---@param options sm.options.maxout
---@return sm.Tensor
function Tensor:maxout(options) end

---@class sm.options.group_entropy
---@field axis? integer|table or another axis, or a list of axes, as one group
---@field groups? integer number of equal groups of the last axis; 1 where nothing is said
---@field off? boolean whether the softmax had an implicit option (default: false)
---@field scale? boolean whether the softmax was scaled (default: false)
---@field sizes? table or the sizes of uneven groups of the last axis

--- `p:group_entropy{groups = 1 | sizes = {…} | axis = -1, scale = false, off = false}`
---
--- the entropy, the sum of -p log p, of each group of probabilities: {…, groups}, or without the axes. scale and
--- off as for the softmax that gave p.
---@param options? sm.options.group_entropy
---@return sm.Tensor
function Tensor:group_entropy(options) end

---@class sm.options.layer_norm
---@field axis? integer|table the last axis, or a list of last axes (default: -1)
---@field bias? sm.Tensor what is added to the result
---@field epsilon? number added to the variance (default: 1e-5)
---@field weight? sm.Tensor what the result is multiplied by

--- `x:layer_norm{axis = -1, weight, bias, epsilon = 1e-5}`
---
--- (x - mean) / sqrt(variance + epsilon) * weight + bias, with mean and variance over the last axis or a list of last
--- axes, whose shape weight and bias have.
---@param options? sm.options.layer_norm
---@return sm.Tensor
function Tensor:layer_norm(options) end

---@class sm.options.group_norm
---@field bias? sm.Tensor what is added to the result
---@field epsilon? number added to the variance (default: 1e-5)
---@field groups integer number of equal groups of channels
---@field weight? sm.Tensor what the result is multiplied by

--- `x:group_norm{groups = 8, weight, bias, epsilon = 1e-5}`
---
--- of every example {N, …, channels} each group of channels normalised over all of its places; weight and bias
--- {channels}.
---@param options sm.options.group_norm
---@return sm.Tensor
function Tensor:group_norm(options) end

---@class sm.options.batch_norm
---@field bias? sm.Tensor what is added to the result
---@field epsilon? number added to the variance (default: 1e-5)
---@field mean? sm.Tensor {channels}, with variance: what is normalised by instead of the batch's
---@field variance? sm.Tensor {channels}, with mean
---@field weight? sm.Tensor what the result is multiplied by

--- `x:batch_norm{weight, bias, epsilon = 1e-5}`
---
--- each channel (the last axis) normalised over all other axes; also gives the mean and the biased variance
--- {channels}, which have no gradient. With mean and variance it normalises by these.
---@param options? sm.options.batch_norm
---@return sm.Tensor
---@return sm.Tensor
---@return sm.Tensor
function Tensor:batch_norm(options) end

---@class sm.options.rnn
---@field bias? sm.Tensor of as many numbers as w has columns, added to x·w
---@field h? sm.Tensor {N, size}, the state before the first step; zeros by default
---@field nonlinearity? "tanh"|"relu" what gives the state (default: "tanh")
---@field recurrent_bias? sm.Tensor of as many, added to h'·v
---@field reverse? boolean whether it goes from the last step to the first (default: false)
---@field state? boolean whether the state after the last step is given, too (default: false)

--- `x:rnn(w, v, {bias, recurrent_bias, h, nonlinearity = "tanh" | "relu", reverse = false, state = false})`
---
--- the states {N, T, size} over sequences x {N, T, in}, from weights w {in, size} and v {size, size}: h = f(x·w +
--- bias + h'·v + recurrent_bias). The names and orders are PyTorch's. It begins with h, zeros by default; reverse
--- goes from the last step to the first; with state the last h {N, size} comes after the states.
---@param w sm.Tensor
---@param v sm.Tensor
---@param options? sm.options.rnn
---@return sm.Tensor
---@return sm.Tensor
function Tensor:rnn(w, v, options) end

---@class sm.options.gru
---@field bias? sm.Tensor of as many numbers as w has columns, added to x·w
---@field h? sm.Tensor {N, size}, the state before the first step; zeros by default
---@field recurrent_bias? sm.Tensor of as many, added to h'·v
---@field reverse? boolean whether it goes from the last step to the first (default: false)
---@field state? boolean whether the state after the last step is given, too (default: false)

--- `x:gru(w, v, {bias, recurrent_bias, h, reverse = false, state = false})`
---
--- the states {N, T, size} over sequences x {N, T, in}, from weights w {in, 3 size} and v {size, 3 size}: gates r, z,
--- n, with n = tanh(x·w + bias + r * (h'·v + recurrent_bias)) and h = (1-z) n + z h'. The names and orders are
--- PyTorch's. It begins with h, zeros by default; reverse goes from the last step to the first; with state the last h
--- {N, size} comes after the states.
---@param w sm.Tensor
---@param v sm.Tensor
---@param options? sm.options.gru
---@return sm.Tensor
---@return sm.Tensor
function Tensor:gru(w, v, options) end

---@class sm.options.lstm
---@field bias? sm.Tensor of as many numbers as w has columns, added to x·w
---@field c? sm.Tensor {N, size}, the cells before the first step; zeros by default
---@field h? sm.Tensor {N, size}, the state before the first step; zeros by default
---@field recurrent_bias? sm.Tensor of as many, added to h'·v
---@field reverse? boolean whether it goes from the last step to the first (default: false)
---@field state? boolean whether the state after the last step is given, too (default: false)

--- `x:lstm(w, v, {bias, recurrent_bias, h, c, reverse = false, state = false})`
---
--- the states {N, T, size} over sequences x {N, T, in}, from weights w {in, 4 size} and v {size, 4 size}: gates i, f,
--- g, o, with c = f c' + i g and h = o tanh c. The names and orders are PyTorch's. It begins with h and c, zeros by
--- default; reverse goes from the last step to the first; with state the last h and c {N, size} come after the
--- states.
---@param w sm.Tensor
---@param v sm.Tensor
---@param options? sm.options.lstm
---@return sm.Tensor
---@return sm.Tensor
---@return sm.Tensor
function Tensor:lstm(w, v, options) end

---@class sm.options.self_attention
---@field causal? boolean whether query t sees keys up to t alone (default: false)
---@field dropout? number share of the weights that is dropped (default: 0)
---@field heads? integer parts of the channels that attend by themselves
---@field mask? sm.Tensor uint8, where 0 hides a key, or real, which is added to the scores
---@field scale? number of the scores; 1/√width by default, of a head's width

--- `x:self_attention{heads = 1, causal = false, mask, scale = 1/√width, dropout = 0}`
---
--- attention where queries, keys and values lie side by side in x {N, T, 3 channels}, as one product gives them: {N,
--- T, channels}. Nothing is copied to take them apart.
---@param options? sm.options.self_attention
---@return sm.Tensor
function Tensor:self_attention(options) end

---@class sm.options.cross_entropy
---@field ignore? integer a label whose rows count nowhere
---@field label_smoothing? number the part of each target that is spread (default: 0)
---@field weight? sm.Tensor|table {classes}, how much each counts

--- `logits:cross_entropy(target, {label_smoothing = 0, ignore = nil, weight = nil})`
---
--- the mean softmax cross-entropy of logits {…, classes} and labels {…} (uint8 or int32, 0 … classes-1), or
--- probabilities of the logits' shape. label_smoothing spreads so much of each target over all classes evenly. Rows
--- with the label `ignore`, of any number, count nowhere; where all are ignored, the mean of nothing is NaN.
--- `weight`, a list or a tensor {classes}: how much each class counts; the sum is then divided by the labels'
--- weights, of probabilities by the number of rows.
---@param target sm.Tensor
---@param options? sm.options.cross_entropy
---@return sm.Tensor
function Tensor:cross_entropy(target, options) end

--- `output:mse(target)`
---
--- the mean of the squared difference.
---@param target sm.Tensor
---@return sm.Tensor
function Tensor:mse(target) end

--- `output:l1(target)`
---
--- the mean of the absolute difference.
---@param target sm.Tensor
---@return sm.Tensor
function Tensor:l1(target) end

--- `output:bce_with_logits(target)`
---
--- the mean of the cross-entropy of a probability whose logit is the output and a target from 0 to 1.
---@param target sm.Tensor
---@return sm.Tensor
function Tensor:bce_with_logits(target) end

--- `output:hinge(target)`
---
--- the mean of 1 - output * target where that is above 0, else 0, with targets of -1 and 1.
---@param target sm.Tensor
---@return sm.Tensor
function Tensor:hinge(target) end

---@class sm.options.huber
---@field delta? number the difference from which on the loss is linear (default: 1)

--- `output:huber(target, {delta = 1})`
---
--- the mean of d^2 / 2 where |d|, the difference, is at most delta, else of delta * (|d| - delta / 2).
---@param target sm.Tensor
---@param options? sm.options.huber
---@return sm.Tensor
function Tensor:huber(target, options) end

--- `output:kl_div(target)`
---
--- the Kullback-Leibler divergence of the target, probabilities, from the output, logarithms of such: the sum of
--- target * (log target - output), divided by the first size, the batch. Where the target is 0, so is its term.
---@param target sm.Tensor
---@return sm.Tensor
function Tensor:kl_div(target) end

--- `output:cosine(target)`
---
--- the mean of 1 less the cosine of the angle between output and target along the last axis.
---@param target sm.Tensor
---@return sm.Tensor
function Tensor:cosine(target) end

--- `x:dropout(p)`
---
--- each element kept with probability 1-p and multiplied by 1/(1-p), else 0.
---@param p number
---@return sm.Tensor
function Tensor:dropout(p) end

---@class sm.options.x.backward
--- whether the gradients are computed by recorded operations, so that they have gradients themselves (default: false)
---@field create_graph? boolean
---@field gradient? sm.Tensor the gradient of y, a tensor of its shape; 1 where it is absent

--- `x:backward(given)`
---
--- Computes the gradients of a scalar with respect to every leaf it depends on and adds them to the leaves' `grad`.
--- Frees the graph: a second walk over it is an error.
---
--- `given`: gradient of root, same shape, 1 by default; or a table of options. With create_graph the graph stays
---@param given? sm.Tensor|sm.options.x.backward
function Tensor:backward(given) end

--- `x:detach()`
---
--- The same numbers, sharing storage, without history.
---@return sm.Tensor
function Tensor:detach() end

--- `x:requires_grad(wanted)`
---
--- Marks a tensor as a leaf whose gradient is wanted. `x:requires_grad(false)` takes that back.
---@param wanted? boolean
---@return sm.Tensor
function Tensor:requires_grad(wanted) end

--- `x:tracks()`
---
--- True when x, a leaf or computed from one, wants a gradient.
---@return boolean
function Tensor:tracks() end

