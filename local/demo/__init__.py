"""`demo` ships real lines through both jobs and proves that each arrived once; `stack` is what it runs on, `up` included."""
