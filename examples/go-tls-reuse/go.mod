module go-tls-reuse

go 1.21
