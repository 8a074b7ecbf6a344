module tls-program

go 1.17
