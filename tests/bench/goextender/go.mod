module spotmix.io/bench/goextender

go 1.21
