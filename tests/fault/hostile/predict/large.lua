-- A picture of few bytes says that it has 16,384 × 16,384 pixels of 16 bits. It must take no memory for them.
-- options: --max-memory 300M
-- command: predict sent/run large.png --resize --grey
-- expect: error "large.png"
-- setup: trained("sent/run")
-- setup: write("large.png", "\137PNG\r\n\26\n\0\0\0\13IHDR\0\0\64\0\0\0\64\0\16\6\0\0\0")
error "never run"
