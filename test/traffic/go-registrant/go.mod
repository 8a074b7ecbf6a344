module registrant

go 1.24
