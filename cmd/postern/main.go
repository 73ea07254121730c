// Command postern is a single sign-on companion for HAProxy.
package main

func main() {}
