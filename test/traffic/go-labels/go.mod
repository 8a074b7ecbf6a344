module go-labels

go 1.24
