---@meta sm.data
-- Made by `make docs` from the library's records, rules and comments; a test compares.

--- sm.data: data sets.
---@class sm.data
local data = {}

--- Examples to train on, and perhaps some to validate and to test with.
---@class sm.Dataset
local Dataset = {}

--- what it is called
---@type string
Dataset.name = nil

--- a line about it
---@type string
Dataset.description = nil

--- that of one example; by name where inputs have names
---@type table
Dataset.shape = nil

--- that of the inputs in a batch
---@type string|table
Dataset.dtype = nil

--- how many labels there are; nil without labels
---@type integer
Dataset.classes = nil

--- what they are called, or nil
---@type string[]
Dataset.class_names = nil

--- the training examples
---@type sm.Split
Dataset.train = nil

--- those to choose by; nil without
---@type sm.Split
Dataset.validation = nil

--- those for the end; nil without
---@type sm.Split
Dataset.test = nil

--- of data.csv: the names of the inputs
---@type string[]
Dataset.columns = nil

--- of data.csv, standardised
---@type any
Dataset.mean = nil

--- of data.csv, standardised
---@type any
Dataset.deviation = nil

--- of data.text: its tokens
---@type string[]
Dataset.vocabulary = nil

--- of data.text: the numbers of a text
---@type fun(text: string): integer[]
Dataset.encode = nil

--- of data.text: the text of numbers
---@type fun(numbers: any): string
Dataset.decode = nil

--- Examples of one purpose.
---@class sm.Split
---@operator len: integer
local Split = {}

--- all inputs {N, …}, or tensors by name
---@type any
Split.inputs = nil

--- what belongs to them
---@type any
Split.targets = nil

--- what the inputs are
---@type string|table
Split.kind = nil

--- goes through all examples in order
---@type fun(self: sm.Split, size: integer): fun(): any, any
Split.batches = nil

--- a part, which shares memory
---@type fun(self: sm.Split, first: integer, last: integer): sm.Split
Split.slice = nil

---@class sm.options.data.augment
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
---@field elastic? table deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

--- `data.augment(x, { shift = 2, rotation = 15 })`
---
--- images changed at random, as `transform` changes a batch. Two versions of one picture serve contrastive learning,
--- moved ones a test. Each call draws anew.
---@param x sm.Tensor real {N, height, width, channels}
---@param given sm.options.data.augment a table of changes, but for mixup
---@return sm.Tensor # the same shape; no gradient passes
function data.augment(x, given) end

---@class sm.options.data.csv
---@field classes? integer says that the target is labels, also where it is numbers: so many
---@field file string the table of training examples, a row each
---@field header? boolean whether the first line names the columns (default: true)
---@field inputs? table the columns of the inputs; by default all others
---@field name? string what the data set is called (default: "csv")
---@field separator? string what stands between cells: one character (default: ",")
--- whether inputs get mean 0 and deviation 1, measured on the training examples (default: false)
---@field standardise? boolean
---@field target string|integer|table the column of the target, or a list of columns; by name, or by position from 1
---@field test_file? string the table of test examples, with the same columns
--- random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list of these
---@field transform? sm.options.data.csv.transform|function
---@field validation? integer how many of the first training examples become validation (default: 0)

---@class sm.options.data.csv.transform
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
--- deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field elastic? sm.options.data.csv.transform.elastic
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

---@class sm.options.data.csv.transform.elastic
---@field alpha number how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it
--- pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34
---@field sigma number

--- `data.csv { file = PATH, target = "column" }`
---
--- a row is an example, its inputs numbers {columns}. A target of words becomes labels, and its words, sorted,
--- class_names; one of numbers is real {columns of the target}, or labels where `classes` says so. An empty cell, or
--- a word among numbers, is an error that names line and column. set.columns names the inputs; with `standardise`
--- set.mean and set.deviation are what they were before.
---@param options sm.options.data.csv
---@return sm.Dataset
function data.csv(options) end

---@class sm.options.data.fashion
--- random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list of these
---@field transform? sm.options.data.fashion.transform|function
--- how many of the first training images become validation; the tutorial's: 5000 (default: 0)
---@field validation? integer

---@class sm.options.data.fashion.transform
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
--- deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field elastic? sm.options.data.fashion.transform.elastic
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

---@class sm.options.data.fashion.transform.elastic
---@field alpha number how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it
--- pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34
---@field sigma number

--- `data.fashion { validation = 5000 }`
---
--- Fashion-MNIST, images of ten kinds of clothing in the same sizes as MNIST. `smrun data fashion` fetches it.
---@param options? sm.options.data.fashion
---@return sm.Dataset
function data.fashion(options) end

---@class sm.options.data.folder
---@field channels? integer 1 (grey), 3 (RGB) or 4 (RGB and alpha) to convert to; by default as the file has it
---@field name? string what the data set is called (default: "folder")
---@field size? table {height, width} that the pictures must have
---@field test? string the directory of test pictures, of the same classes
---@field train string the directory of training pictures, CLASS/*.png
--- random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list of these
---@field transform? sm.options.data.folder.transform|function
---@field validation? integer how many of the first training examples become validation (default: 0)

---@class sm.options.data.folder.transform
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
--- deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field elastic? sm.options.data.folder.transform.elastic
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

---@class sm.options.data.folder.transform.elastic
---@field alpha number how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it
--- pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34
---@field sigma number

--- `data.folder { train = DIR, test = DIR }`
---
--- pictures of one size, DIR/CLASS/*.png. Classes, sorted by name, become the labels 0, 1, …; files are sorted by
--- name, and the classes are mixed evenly, so that the first `validation` training pictures have each in its
--- proportion. Hidden files are passed over. Pictures of 16 bits a channel are numbers from 0 to 1, others bytes.
---@param options sm.options.data.folder
---@return sm.Dataset
function data.folder(options) end

---@class sm.options.data.idx
---@field classes? integer number of classes; by default as the largest label says
---@field images string the file of training images
--- what inputs are: bytes to divide by 255, int32 to stay so, or numbers; by default as their type says
---@field kind? "pixels"|"indices"|"numbers"
---@field labels string the file of their labels
---@field name? string what the data set is called (default: "idx")
---@field test_images? string the file of test images
---@field test_labels? string the file of their labels
--- random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list of these
---@field transform? sm.options.data.idx.transform|function
---@field validation? integer how many of the first training examples become validation (default: 0)

---@class sm.options.data.idx.transform
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
--- deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field elastic? sm.options.data.idx.transform.elastic
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

---@class sm.options.data.idx.transform.elastic
---@field alpha number how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it
--- pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34
---@field sigma number

--- `data.idx { images = path, labels = path }`
---
--- a data set from IDX files, compressed by gzip or not, of bytes, integers or floats; labels are whole numbers.
--- Paths are relative to the current directory.
---@param options sm.options.data.idx
---@return sm.Dataset
function data.idx(options) end

---@class sm.options.data.mnist
--- random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list of these
---@field transform? sm.options.data.mnist.transform|function
--- how many of the first training images become validation; the tutorial's: 5000 (default: 0)
---@field validation? integer

---@class sm.options.data.mnist.transform
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
--- deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field elastic? sm.options.data.mnist.transform.elastic
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

---@class sm.options.data.mnist.transform.elastic
---@field alpha number how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it
--- pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34
---@field sigma number

--- `data.mnist { validation = 5000 }`
---
--- MNIST, 60,000 training and 10,000 test images of handwritten digits, {28, 28, 1}. `smrun data mnist` fetches it.
---@param options? sm.options.data.mnist
---@return sm.Dataset
function data.mnist(options) end

---@class sm.options.data.mnist_mini
--- random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list of these
---@field transform? sm.options.data.mnist_mini.transform|function
--- how many of the first training images become validation; the tutorial's: 5000 (default: 0)
---@field validation? integer

---@class sm.options.data.mnist_mini.transform
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
--- deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field elastic? sm.options.data.mnist_mini.transform.elastic
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

---@class sm.options.data.mnist_mini.transform.elastic
---@field alpha number how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it
--- pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34
---@field sigma number

--- `data.mnist_mini { validation = 5000 }`
---
--- a scale model of MNIST that comes with the library, 5,000 training and 1,000 test images, spread evenly over the
--- real ones. Counts are given for the real data set and scaled down with it: validation = 5000 gives 417.
---@param options? sm.options.data.mnist_mini
---@return sm.Dataset
function data.mnist_mini(options) end

---@class sm.options.data.npy
---@field class_names? table names of the classes, for pictures
---@field classes? integer number of classes; by default as the largest label says
---@field inputs string|table the file of training examples {N, …}, or files by name
--- what inputs are: bytes to divide by 255, int32 to stay so, or numbers; by default as their type says; by name
--- where they have names
---@field kind? "pixels"|"indices"|"numbers"|table
---@field name? string what the data set is called (default: "npy")
---@field targets string|table the file of targets: {N} of integers are labels; or by name
---@field test_inputs? string|table the file of test examples
---@field test_targets? string|table the file of what belongs to them
--- random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list of these
---@field transform? sm.options.data.npy.transform|function
---@field validation? integer how many of the first training examples become validation (default: 0)

---@class sm.options.data.npy.transform
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
--- deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field elastic? sm.options.data.npy.transform.elastic
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

---@class sm.options.data.npy.transform.elastic
---@field alpha number how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it
--- pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34
---@field sigma number

--- `data.npy { inputs = PATH, targets = PATH }`
---
--- a data set from files of NumPy, of which each holds one tensor; else as data.tensors. Paths may be tables by name,
--- too: { left = PATH, right = PATH }.
---@param options sm.options.data.npy
---@return sm.Dataset
function data.npy(options) end

---@class sm.options.data.tensors
---@field class_names? table names of the classes, for pictures
---@field classes? integer number of classes; by default as the largest label says
---@field inputs sm.Tensor|table training examples {N, …}, or tensors by name
--- what inputs are: bytes to divide by 255, int32 to stay so, or numbers; by default as their type says; by name
--- where they have names
---@field kind? "pixels"|"indices"|"numbers"|table
---@field name? string what the data set is called (default: "tensors")
---@field targets sm.Tensor|table {N} of integers are labels, others stay as they are; or tensors by name
---@field test_inputs? sm.Tensor|table test examples
---@field test_targets? sm.Tensor|table what belongs to them
--- random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list of these
---@field transform? sm.options.data.tensors.transform|function
---@field validation? integer how many of the first training examples become validation (default: 0)

---@class sm.options.data.tensors.transform
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
--- deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field elastic? sm.options.data.tensors.transform.elastic
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

---@class sm.options.data.tensors.transform.elastic
---@field alpha number how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it
--- pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34
---@field sigma number

--- `data.tensors { inputs = tensor, targets = tensor }`
---
--- a data set from tensors that are there already. Its kind is "pixels" (bytes that batches divide by 255) where
--- inputs are uint8, "indices" (which batches have as int32) where they are int32, else "numbers" (whose value
--- batches have as real), unless it is said. Inputs and targets may be tables of tensors by name, { left = x, right =
--- y }: a batch is such a table then, and the model gets it.
---@param options sm.options.data.tensors
---@return sm.Dataset
function data.tensors(options) end

---@class sm.options.data.text
---@field file? string the file of the training text
---@field length integer tokens of an example
---@field name? string what the data set is called (default: "text")
---@field test_file? string the file of the test text
---@field test_text? string the test text itself
---@field text? string the training text itself, in place of a file
---@field tokens? "characters"|"bytes" what a token is: a character of UTF-8, or a byte (default: "characters")
--- random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list of these
---@field transform? sm.options.data.text.transform|function
---@field validation? integer how many of the first training examples become validation (default: 0)

---@class sm.options.data.text.transform
--- the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)
---@field cutout? integer
--- deforms an image as Simard, Steinkraus and Platt (2003) do: below
---@field elastic? sm.options.data.text.transform.elastic
---@field fill? number what comes from outside of an image, in the numbers of a batch (default: 0)
--- mirrors every second image by chance: true or "horizontal" its left and right, "vertical" its top and bottom
---@field flip? boolean|"horizontal"|"vertical"
--- a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in the
--- batch, so that labels become rows of probabilities (Zhang et al. 2018)
---@field mixup? number
--- degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise
---@field rotation? number|table
---@field scale? number|table 0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}
--- pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}
---@field shift? number|table

---@class sm.options.data.text.transform.elastic
---@field alpha number how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it
--- pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34
---@field sigma number

--- `data.text { file = PATH, length = T }`
---
--- inputs {T} of tokens, int32, and as targets {T} the token that follows each. Tokens are the characters of the
--- training text, sorted and numbered from 0: set.vocabulary, which is also class_names. set.encode(text) gives the
--- numbers of a text, set.decode(numbers) the text. Examples do not overlap.
---@param options sm.options.data.text
---@return sm.Dataset
function data.text(options) end

--- `set:stream(size)`
---
--- An endless stream of shuffled training batches that can be saved and restored; see sm.data.stream.
---@param size integer integer, examples in a batch
---@return table
function Dataset:stream(size) end

---@class sm.options.set.batches
---@field epochs? number how often each example comes; math.huge never ends (default: 1)

--- `set:batches(size, options)`
---
--- Iterates over shuffled training batches. Every epoch is shuffled anew and batches straddle epochs, so all but the
--- very last have `size` examples.
---@param size integer integer, examples in a batch
---@param options? sm.options.set.batches
---@return fun(): any # iterator of x {size, …}, y {size, …}
---@return any
function Dataset:batches(size, options) end

return data
