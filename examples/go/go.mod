module zimun-booking-example

go 1.22
