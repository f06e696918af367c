module spotmix.io/bench/gowebhook

go 1.22
