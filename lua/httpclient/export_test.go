package httpclient

// Public is whether scripts may call an address.
var Public = public
