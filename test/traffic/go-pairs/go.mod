module go-pairs

go 1.24
